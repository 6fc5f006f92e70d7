"""KEDA's ScaledObject: scales an actor by the messages in its queue."""

from asya_crds.async_actor import Scaling
from asya_operator.domain.resources.common import ActorResource, Document, Surroundings, metadata, without_nothing
from asya_operator.domain.resources.trigger_authentication import authentication_name, trigger_of

API_VERSION = "keda.sh/v1alpha1"


def scaled_object(actor: ActorResource, around: Surroundings, scaling: Scaling, queue: str) -> Document:
    """The ScaledObject to apply, for the queue with this address. It scales the Deployment of the same name, down to
    zero if allowed."""
    modifiers, behaviour = _advanced(scaling)
    spec = {
        "scaleTargetRef": {"name": actor.name},
        "minReplicaCount": scaling.min_replica_count,
        "maxReplicaCount": scaling.max_replica_count,
        "pollingInterval": scaling.polling_interval,
        "cooldownPeriod": scaling.cooldown_period,
        "triggers": [_trigger(actor, around, scaling, queue), *scaling.additional_triggers],
    }
    advanced = without_nothing({**behaviour, "scalingModifiers": modifiers})
    if advanced:
        spec["advanced"] = advanced
    return {"apiVersion": API_VERSION, "kind": "ScaledObject", "metadata": metadata(actor, around), "spec": spec}


def scaled_object_reference(actor: ActorResource, around: Surroundings) -> Document:
    """The identity of a ScaledObject, enough to find or delete it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ScaledObject",
        "metadata": {"name": actor.name, "namespace": around.namespace},
    }


def _trigger(actor: ActorResource, around: Surroundings, scaling: Scaling, queue: str) -> Document:
    trigger = trigger_of(around, scaling, queue)
    return {
        "type": trigger.type,
        "name": "queue",
        "metadata": dict(trigger.metadata),
        "authenticationRef": {"name": authentication_name(actor, trigger)},
    }


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
