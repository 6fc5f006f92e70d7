"""Which tasks a caller reaches for what it wants to do: its own, or those of others that its scopes open."""

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.identity.access import needed_for_own, reaches_others
from asya_gateway.domain.identity.faults import Denied
from asya_gateway.domain.identity.principals import Asker, Caller, Principal
from asya_gateway.domain.identity.scopes import ANY_TASK, Flows, TaskVerb
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy, OwnerScope, owner_of
from asya_gateway.domain.ports import TaskStore
from asya_gateway.domain.task import TaskHead

EVERYBODY = "*"
"""Stands for all owners where a list's owner is named."""


def scope_at_once(asker: Asker, verb: TaskVerb) -> OwnerScope | None:
    """Whose tasks a statement may touch; None if it depends on the task's flow. Raises nothing: a caller without any
    right has no tasks it could reach, which `scope_of` finds out."""
    if not isinstance(asker, Principal):
        return owner_of(asker)
    if reaches_others(asker, verb).every:
        return EVERY_OWNER
    own = asker.rights.reads if verb is TaskVerb.READ else asker.rights.invokes
    return OwnedBy(asker.owner) if own.every and not reaches_others(asker, verb) else None


async def scope_of(
    store: TaskStore, task_id: str, asker: Asker, verb: TaskVerb, *, known: TaskHead | None = None
) -> OwnerScope:
    """Whose tasks the statement for this task may touch. A task's flow and owner never change, so what was read a
    moment ago (`known`) is still true when the statement runs, which checks the owner itself.

    Raises TaskNotFound for a task that the asker may not see, Denied for one that it sees but may not change,
    Unavailable.
    """
    scope = scope_at_once(asker, verb)
    if scope is not None:
        return scope
    assert isinstance(asker, Principal)
    task = known or await store.head(task_id, owner=EVERY_OWNER)
    if task is None:
        raise TaskNotFound(task_id)
    if task.flow in reaches_others(asker, verb):
        return EVERY_OWNER
    own = task.owner == asker.owner
    if own and task.flow in (asker.rights.reads if verb is TaskVerb.READ else asker.rights.invokes):
        return OwnedBy(asker.owner)
    if own and task.flow in asker.rights.reads:
        raise Denied(f"tasks of flow '{task.flow}'", {needed_for_own(verb)}, asker.rights.scopes)
    if task.flow in reaches_others(asker, TaskVerb.READ):
        raise Denied(f"tasks of flow '{task.flow}'", {f"task:{task.flow}:{verb}"}, asker.rights.scopes)
    raise TaskNotFound(task_id)


def reads(asker: Asker, flow: str, owner: str) -> bool:
    """Whether the asker may read a task of this flow and owner, as `scope_of` decides it."""
    if not isinstance(asker, Principal):
        return owner_of(asker) in (EVERY_OWNER, OwnedBy(owner))
    return flow in reaches_others(asker, TaskVerb.READ) or (owner == asker.owner and flow in asker.rights.reads)


def listed(caller: Caller, owner: str | None) -> tuple[OwnerScope, Flows]:
    """Whose tasks a list shows, and of which flows: the caller's own, those of `owner`, or everybody's for `*`. Raises
    Denied for tasks of others without a right to any."""
    if not isinstance(caller, Principal):
        return owner_of(caller), Flows(every=True)
    if owner is None or owner == caller.owner:
        return OwnedBy(caller.owner), caller.rights.reads
    others = reaches_others(caller, TaskVerb.READ)
    if not others:
        raise Denied("tasks of others", {f"task:{ANY_TASK}:{TaskVerb.READ}"}, caller.rights.scopes)
    return (EVERY_OWNER if owner == EVERYBODY else OwnedBy(owner)), others
