"""Members that are left out where they say nothing, the same in several dialects."""

from typing import Any

from asya_gateway.protocols.a2a.model import Artifact, Message

Json = dict[str, Any]


def present(**members: Any) -> Json:
    """The members that say something."""
    return {name: value for name, value in members.items() if value}


def of_message(said: Message) -> Json:
    """Those of a message since 0.3."""
    return present(
        contextId=said.context_id,
        taskId=said.task_id,
        metadata=said.metadata,
        extensions=list(said.extensions),
        referenceTaskIds=list(said.reference_task_ids),
    )


def of_artifact(made: Artifact) -> Json:
    """Those of an artifact since 0.3."""
    return present(
        name=made.name,
        description=made.description,
        metadata=made.metadata,
        extensions=list(made.extensions),
    )
