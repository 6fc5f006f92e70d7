"""KEDA's ScaledObject: how many replicas the messages in the queue ask for."""

from asya_crds.async_actor import Scaling
from asya_operator.domain.resources.common import Actor, Document, Surroundings, metadata, without_nothing
from asya_operator.domain.resources.trigger_authentication import authentication_name

API_VERSION = "keda.sh/v1alpha1"
_WAITING = "SELECT count(*) FROM queue_messages WHERE queue = '{queue}'"


def scaled_object(actor: Actor, around: Surroundings, scaling: Scaling) -> Document:
    """The ScaledObject to apply. It scales the Deployment of the same name down to zero where it may."""
    modifiers, behaviour = _advanced(scaling)
    spec = {
        "scaleTargetRef": {"name": actor.name},
        "minReplicaCount": scaling.min_replica_count,
        "maxReplicaCount": scaling.max_replica_count,
        "pollingInterval": scaling.polling_interval,
        "cooldownPeriod": scaling.cooldown_period,
        "triggers": [_trigger(actor, around, scaling), *scaling.additional_triggers],
    }
    advanced = without_nothing({**behaviour, "scalingModifiers": modifiers})
    if advanced:
        spec["advanced"] = advanced
    return {"apiVersion": API_VERSION, "kind": "ScaledObject", "metadata": metadata(actor, around), "spec": spec}


def scaled_object_reference(actor: Actor, around: Surroundings) -> Document:
    """Just enough to find or delete it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ScaledObject",
        "metadata": {"name": actor.name, "namespace": around.namespace},
    }


def _trigger(actor: Actor, around: Surroundings, scaling: Scaling) -> Document:
    queue = f"asya-{around.namespace}-{actor.name}"
    auth = {"authenticationRef": {"name": authentication_name(actor, around)}}
    if around.transport == "rabbitmq":
        values = {"queueName": queue, "mode": "QueueLength", "value": str(scaling.queue_length), "protocol": "amqp"}
        return {"type": "rabbitmq", "name": "queue", "metadata": values, **auth}
    values = {"query": _WAITING.format(queue=queue), "targetQueryValue": str(scaling.queue_length)}
    return {"type": "postgresql", "name": "queue", "metadata": values, **auth}


def _advanced(scaling: Scaling) -> tuple[Document, Document]:
    advanced = scaling.advanced
    if advanced is None:
        return {}, {}
    modifiers = without_nothing(
        {
            "formula": advanced.formula,
            "target": advanced.target,
            "activationTarget": advanced.activation_target,
            "metricType": advanced.metric_type,
        }
    )
    restore = advanced.restore_to_original_replica_count
    return modifiers, {} if restore is None else {"restoreToOriginalReplicaCount": restore}
