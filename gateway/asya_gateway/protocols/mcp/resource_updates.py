"""notifications/resources/updated: of a caller's tasks, and of flows' resources that say that they change (2026-07-28,
patterns/subscriptions; server/resources, "Subscriptions")."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.offers import ResourceOffer, TaskOffer
from asya_gateway.domain.task import TaskHead
from asya_gateway.domain.task_offers import VARIABLE
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.following import WEIGHT, followed
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.resources import find_for
from asya_gateway.protocols.mcp.topics import Notice

MEMBER = "resourceSubscriptions"
MOST_URIS = 100
"""Resources of one subscription."""


async def resource_updates(context: RequestContext, wanted: Mapping[str, Any]) -> "ResourceUpdates | None":
    """The topic for `resourceSubscriptions`. Raises InvalidParams."""
    uris = wanted.get(MEMBER)
    if uris is None:
        return None
    if not isinstance(uris, list) or len(uris) > MOST_URIS or not all(isinstance(each, str) for each in uris):
        raise InvalidParams(f"notifications.{MEMBER}: expected at most {MOST_URIS} strings")
    return ResourceUpdates(context, uris)


class ResourceUpdates:
    """Tells that resources have changed, which their client then reads again. Implements Topic. Only those that can
    change are honoured; unknown ones, and those that the caller may not see, are left out alike."""

    def __init__(self, context: RequestContext, uris: Iterable[str]) -> None:
        self._context = context
        self._caller = context.caller
        self._wanted = list(dict.fromkeys(uris))
        self._accepted: list[str] = []
        self._changed: dict[str, None] = {}
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._weighed = 0
        """Tasks for which the budget was asked."""
        self._unchecked: list[str] = []
        """Tasks of which it is not known yet whether the caller may still read them."""
        self._wake: Callable[[], None] = lambda: None

    def acknowledged(self) -> Mapping[str, Any]:
        """Those that are honoured."""
        return {MEMBER: self._accepted} if self._accepted else {}

    @asynccontextmanager
    async def watching(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Note changes from before the acknowledgement on. Raises NoRoom, Unavailable."""
        self._wake = wake
        leave = None
        try:
            for uri in self._wanted:
                if await self._honour(uri):
                    self._accepted.append(uri)
            announced = [uri for uri in self._accepted if uri not in self._followed]
            leave = self._context.tasks.resources.watch(announced, self._note)
            yield
        finally:
            if leave is not None:
                leave()
            for following in self._followed.values():
                following.cancel()
            await asyncio.gather(*self._followed.values(), return_exceptions=True)
            self._context.budget.give_back(Share.HELD, WEIGHT * self._weighed)

    async def due(self) -> Sequence[Notice]:
        """One notification for all changes of a resource since the last one."""
        # If the database is away, this is asked for again within a second, and nothing is lost meanwhile.
        with suppress(Unavailable):
            await self._drop_lost()
        due, self._changed = self._changed, {}
        return [Notice("resources/updated", {"uri": uri}) for uri in due if self._still_seen(uri)]

    def renewed(self, caller: Caller) -> None:
        """What the caller no longer sees, it hears nothing of."""
        self._caller = caller
        self._unchecked = list(self._followed)

    async def _honour(self, uri: str) -> bool:
        """Whether the resource can change. A task is followed from here on. Raises NoRoom, Unavailable."""
        found = find_for(self._context, uri, self._caller)
        if found is None:
            return False
        offer, values = found
        if not isinstance(offer, TaskOffer):
            return _changes(offer)
        task = await self._task(values[VARIABLE])
        if task is None:
            return False
        self._context.budget.take(Share.HELD, WEIGHT)
        self._weighed += 1
        note = partial(self._note, uri)
        self._followed[uri] = await followed(self._context.tasks, task, self._caller, note)
        return True

    async def _drop_lost(self) -> None:
        """Stop following tasks that the caller may no longer read. Raises Unavailable."""
        while self._unchecked:
            uri = self._unchecked[-1]
            found = find_for(self._context, uri, self._caller)
            if found is None or await self._task(found[1][VARIABLE]) is None:
                self._followed.pop(uri).cancel()
                self._changed.pop(uri, None)
            self._unchecked.pop()

    async def _task(self, task_id: str) -> TaskHead | None:
        try:
            return await self._context.tasks.head(task_id, self._caller)
        except TaskNotFound:
            return None

    def _still_seen(self, uri: str) -> bool:
        found = find_for(self._context, uri, self._caller)
        return found is not None and (uri in self._followed or _changes(found[0]))

    def _note(self, uri: str) -> None:
        self._changed[uri] = None
        self._wake()


def _changes(offer: ResourceOffer | TaskOffer) -> bool:
    """Whether its author says that the resource changes; tasks are followed instead."""
    return not isinstance(offer, TaskOffer) and offer.resource.changes
