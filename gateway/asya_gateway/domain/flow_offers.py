"""Flows as a source of the catalog."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asya_crds.uri_template import Template
from asya_gateway.domain.catalog import Kind, Offer, Offers
from asya_gateway.domain.flows import FlowRegistry, ServedFlow
from asya_gateway.domain.identity.access import check_invoke, sees
from asya_gateway.domain.identity.principals import Caller


@dataclass(frozen=True, slots=True, eq=False)
class FlowOffer:
    """A flow as one of its kinds. Implements Offer."""

    kind: Kind
    key: str
    served: ServedFlow
    sets: frozenset[str] = frozenset()
    template: Template | None = None
    everywhere: bool = False

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.served.flow.name

    @property
    def size(self) -> int:
        """Characters of the flow's document, which has all that is shown of it."""
        return self.served.size

    def seen_by(self, caller: Caller) -> bool:
        """Whether the caller sees the flow."""
        return sees(caller, self.served.flow)

    def check_use(self, caller: Caller) -> None:
        """Using it is a call of the flow."""
        check_invoke(caller, self.served.flow)

    def shows_like(self, other: Any) -> bool:
        """Whether nothing has changed that clients are shown: a new route, for example, is none of their business."""
        if not isinstance(other, FlowOffer):
            return False
        return self.served is other.served or self._shown() == other._shown()

    def _shown(self) -> tuple[Any, ...]:
        flow, left_out = self.served.flow, _NOT_SHOWN[self.kind]
        shown = {} if flow.mcp is None else {key: item for key, item in flow.mcp if key not in left_out}
        return (flow.description, shown, bool(flow.scopes))


_NOT_SHOWN = {
    Kind.TOOLS: frozenset({"prompt", "resource"}),
    Kind.PROMPTS: frozenset({"resource", "output_schema", "annotations", "progress", "tool"}),
    Kind.RESOURCES: frozenset({"prompt", "input_schema", "output_schema", "annotations", "progress", "tool"}),
    Kind.TEMPLATES: frozenset({"prompt", "input_schema", "output_schema", "annotations", "progress", "tool"}),
}
"""Fields of a flow's `mcp` block that no list of this kind has."""


Made = tuple[frozenset[str], list[FlowOffer]]
"""The sets of a flow, and its offers."""


class FlowSource:
    """Every flow with an `mcp` block. Implements Source. Offers of unchanged flows are taken from the table before,
    since a change must not hold the event loop for as long as it takes to make ten thousand."""

    def __init__(self, flows: FlowRegistry) -> None:
        self._flows = flows
        self._known: dict[ServedFlow, Made] = {}

    def offers(self) -> Offers:
        """The flows of the current table, by what they are offered as."""
        table = self._flows.table
        member_of: dict[str, set[str]] = {}
        for name, members in table.sets.items():
            for flow in members:
                member_of.setdefault(flow, set()).add(name)
        found: dict[Kind, dict[str, Offer]] = {kind: {} for kind in Kind}
        known: dict[ServedFlow, Made] = {}
        for served in table.flows.values():
            sets = frozenset(member_of.get(served.flow.name, ()))
            made = self._known.get(served)
            if made is None or made[0] != sets:
                made = (sets, _offers_of(served, sets))
            known[served] = made
            for offer in made[1]:
                found[offer.kind][offer.key] = offer
        self._known = known
        return found

    def sets(self) -> frozenset[str]:
        """The sets that stand in `sets:`."""
        return self._flows.table.named_sets

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each swap of the table."""
        return self._flows.watch(lambda _table: changed())


def _offers_of(served: ServedFlow, sets: frozenset[str]) -> list[FlowOffer]:
    flow = served.flow
    found = [FlowOffer(Kind.TOOLS, flow.name, served, sets)] if flow.is_tool else []
    if (prompt := flow.prompt_name) is not None:
        found.append(FlowOffer(Kind.PROMPTS, prompt, served, sets))
    if flow.mcp is not None and (resource := flow.mcp.resource) is not None:
        if resource.uri is not None:
            found.append(FlowOffer(Kind.RESOURCES, resource.uri, served, sets))
        else:
            found.append(FlowOffer(Kind.TEMPLATES, resource.address, served, sets, resource.template))
    return found
