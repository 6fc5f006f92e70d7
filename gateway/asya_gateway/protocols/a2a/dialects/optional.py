"""Members that are left out where they say nothing, the same in several dialects."""

from collections.abc import Callable
from typing import Any

from asya_gateway.protocols.a2a.model import Artifact, Message, Part, TaskView, Verbatim

Json = dict[str, Any]


def history(view: TaskView, write: Callable[[Message], Json]) -> list[Json | Verbatim]:
    """The messages of a task, of which some may be in the dialect's form already."""
    return [each if isinstance(each, Verbatim) else write(each) for each in view.history or ()]


def parts(made: Artifact, write: Callable[[Part], Json]) -> list[Json | Verbatim]:
    """The parts of an artifact, of which some may be in the dialect's form already."""
    return [*map(write, made.parts), *made.written]


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
