"""Changes of the lists that a caller sees."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asya_gateway.domain.catalog import Catalog, Selection
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.offers import KINDS, PROMPTS, RESOURCES, TEMPLATES, TOOLS, OfferKind
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.topics import Notice

MEMBERS: Mapping[str, tuple[str, tuple[OfferKind[Any], ...]]] = {
    "toolsListChanged": ("tools/list_changed", (TOOLS,)),
    "promptsListChanged": ("prompts/list_changed", (PROMPTS,)),
    "resourcesListChanged": ("resources/list_changed", (RESOURCES, TEMPLATES)),
}
"""The members of a subscription's filter, the notification of each, and the lists that it is about."""


async def list_changes(context: RequestContext, wanted: Mapping[str, Any]) -> "ListChanges | None":
    """The topic for lists. Raises InvalidParams."""
    members = []
    for member in MEMBERS:
        value = wanted.get(member, False)
        if not isinstance(value, bool):
            raise InvalidParams(f"notifications.{member}: expected a boolean")
        if value:
            members.append(member)
    return ListChanges(context.catalog, context.caller, context.selection, members) if members else None


class ListChanges:
    """Tells a caller of each change of the lists that it sees at an endpoint. Implements Topic."""

    def __init__(self, catalog: Catalog, caller: Caller, selection: Selection, members: Sequence[str]) -> None:
        self._catalog = catalog
        self._caller = caller
        self._selection = selection
        self._members = members
        self._changed: set[str] = set()

    def acknowledged(self) -> Mapping[str, Any]:
        """What is honoured: everything."""
        return dict.fromkeys(self._members, True)

    @asynccontextmanager
    async def watching(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Note each change of the catalog that touches a list of the caller."""
        catalog = self._catalog
        numbers = dict(catalog.numbers)

        def changed() -> None:
            new = {kind for kind in KINDS if numbers[kind] != catalog.numbers[kind]}
            numbers.update(catalog.numbers)
            for member in self._members:
                if any(kind in new and self._touched(kind) for kind in MEMBERS[member][1]):
                    self._changed.add(member)
                    wake()

        leave = catalog.watch(changed)
        try:
            yield
        finally:
            leave()

    def _touched(self, kind: OfferKind[Any]) -> bool:
        return self._catalog.last_changes[kind].touches(self._caller, self._selection)

    async def due(self) -> Sequence[Notice]:
        """One notification of each list, for all its changes since the last one."""
        due = [member for member in self._members if member in self._changed]
        self._changed.clear()
        return [Notice(MEMBERS[member][0], {}) for member in due]

    def renewed(self, caller: Caller) -> None:
        """Note the lists that other rights change."""
        for member in self._members:
            kinds = MEMBERS[member][1]
            if not all(self._catalog.shows_alike(kind, self._caller, caller, self._selection) for kind in kinds):
                self._changed.add(member)
        self._caller = caller
