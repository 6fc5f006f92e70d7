"""KEDA's TriggerAuthentication: the autoscaler's access to the actor's queue."""

from asya_crds.async_actor import Scaling
from asya_operator.domain.resources.common import ActorResource, Document, Surroundings, metadata
from asya_transports.description import Trigger
from asya_transports.known import describe


def trigger_of(around: Surroundings, scaling: Scaling, queue: str) -> Trigger:
    """The transport's trigger for the queue with this address."""
    return describe(around.transport).trigger(queue, scaling.queue_length, around.variables)


def authentication_name(actor: ActorResource, trigger: Trigger) -> str:
    """The name of the installation's TriggerAuthentication if it has one, else of the actor's own."""
    return trigger.authentication or f"{actor.name}-trigger-auth"


def trigger_authentication(actor: ActorResource, around: Surroundings, scaling: Scaling, queue: str) -> Document | None:
    """The TriggerAuthentication to apply; None if the installation provides one."""
    trigger = trigger_of(around, scaling, queue)
    if trigger.authentication or not (around.secret or trigger.pod_identity):
        return None
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {**metadata(actor, around), "name": authentication_name(actor, trigger)},
        "spec": _spec(trigger, around.secret),
    }


def _spec(trigger: Trigger, secret: str) -> Document:
    if trigger.pod_identity:
        return {"podIdentity": {"provider": trigger.pod_identity}}
    return {
        "secretTargetRef": [{"parameter": each.parameter, "name": secret, "key": each.key} for each in trigger.secrets]
    }
