"""KEDA's TriggerAuthentication: how the autoscaler may look into the actor's queue."""

from asya_operator.domain.resources.common import Actor, Document, Surroundings, metadata


def authentication_name(actor: Actor, around: Surroundings) -> str:
    """The one that the settings name, else the actor's own."""
    return around.keda_auth or f"{actor.name}-trigger-auth"


def trigger_authentication(actor: Actor, around: Surroundings) -> Document | None:
    """The TriggerAuthentication to apply; None where the settings name one that exists."""
    if around.keda_auth or not around.secret:
        return None
    parameter, key = (
        ("host", "ASYA_RABBITMQ_URL") if around.transport == "rabbitmq" else ("connection", "ASYA_DATABASE_URL")
    )
    named = {**metadata(actor, around), "name": authentication_name(actor, around)}
    reference = {"parameter": parameter, "name": around.secret, "key": key}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": named,
        "spec": {"secretTargetRef": [reference]},
    }
