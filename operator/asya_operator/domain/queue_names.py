"""Whether an actor's queue can have its name."""

from asya_crds.naming import queue_name
from asya_operator.domain.resources.common import ActorResource, Surroundings
from asya_transports.known import describe


def long_queue_name(actor: ActorResource, around: Surroundings) -> str | None:
    """The problem if the queue system takes no name as long as the actor's queue would have."""
    longest = describe(around.transport).limits.longest_name
    name = queue_name(around.namespace, actor.name)
    if longest is None or len(name) <= longest:
        return None
    room = longest - len(queue_name(around.namespace, ""))
    return (
        f"actor: its queue {name} would have {len(name)} characters, and {around.transport} takes {longest}; "
        f"in this namespace an actor's name may have {max(room, 0)}"
    )
