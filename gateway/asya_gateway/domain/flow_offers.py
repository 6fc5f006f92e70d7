"""Flows as a source of the catalog."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from asya_crds.flow import McpExposure
from asya_crds.mcp_offers import McpPrompt, McpResource
from asya_crds.uri_template import Template
from asya_gateway.domain.flows import FlowRegistry, ServedFlow
from asya_gateway.domain.identity.access import check_invoke, sees
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.offers import PROMPTS, RESOURCES, TEMPLATES, TOOLS, Offers


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class FlowOffer:
    """A flow as a tool. Implements RunOffer. `exposure` is the flow's `mcp` block."""

    key: str
    served: ServedFlow
    exposure: McpExposure
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
        flow, left_out = self.served.flow, self._not_shown
        shown = {key: item for key, item in self.exposure if key not in left_out}
        return (flow.description, shown, bool(flow.scopes))

    @property
    def _not_shown(self) -> frozenset[str]:
        """Fields of the `mcp` block that no list of its kind has."""
        return frozenset({"prompt", "resource"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FlowPrompt(FlowOffer):
    """A flow as a prompt. Implements PromptOffer."""

    prompt: McpPrompt

    @property
    @override
    def _not_shown(self) -> frozenset[str]:
        return frozenset({"resource", "output_schema", "annotations", "progress", "tool"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FlowResource(FlowOffer):
    """A flow as a resource or a template of them. Implements ResourceOffer."""

    resource: McpResource

    @property
    @override
    def _not_shown(self) -> frozenset[str]:
        return frozenset({"prompt", "input_schema", "output_schema", "annotations", "progress", "tool"})


@dataclass(frozen=True, slots=True)
class _Made:
    """The offers of one flow, and the sets that it is in."""

    sets: frozenset[str]
    tool: FlowOffer | None = None
    prompt: FlowPrompt | None = None
    resource: FlowResource | None = None

    def add_to(self, found: Offers) -> None:
        if self.tool is not None:
            found.add(TOOLS, self.tool)
        if self.prompt is not None:
            found.add(PROMPTS, self.prompt)
        if self.resource is not None:
            found.add(RESOURCES if self.resource.template is None else TEMPLATES, self.resource)


class FlowSource:
    """Every flow with an `mcp` block. Implements Source. Offers of unchanged flows are taken from the table before,
    since a change must not hold the event loop for as long as it takes to make ten thousand."""

    def __init__(self, flows: FlowRegistry) -> None:
        self._flows = flows
        self._known: dict[ServedFlow, _Made] = {}

    def offers(self) -> Offers:
        """The flows of the current table, by what they are offered as."""
        table = self._flows.table
        member_of: dict[str, set[str]] = {}
        for name, members in table.sets.items():
            for flow in members:
                member_of.setdefault(flow, set()).add(name)
        found = Offers()
        known: dict[ServedFlow, _Made] = {}
        for served in table.flows.values():
            sets = frozenset(member_of.get(served.flow.name, ()))
            made = self._known.get(served)
            if made is None or made.sets != sets:
                made = _made_of(served, sets)
            known[served] = made
            made.add_to(found)
        self._known = known
        return found

    def sets(self) -> frozenset[str]:
        """The sets that stand in `sets:`."""
        return self._flows.table.named_sets

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each swap of the table."""
        return self._flows.watch(lambda _table: changed())


def _made_of(served: ServedFlow, sets: frozenset[str]) -> _Made:
    flow, exposure = served.flow, served.flow.mcp
    if exposure is None:
        return _Made(sets)
    name, prompt, resource = flow.prompt_name, exposure.prompt, exposure.resource
    return _Made(
        sets,
        FlowOffer(flow.name, served, exposure, sets) if flow.is_tool else None,
        None if name is None or prompt is None else FlowPrompt(name, served, exposure, sets, prompt=prompt),
        None
        if resource is None
        else FlowResource(resource.address, served, exposure, sets, resource.template, resource=resource),
    )
