"""The flows that this pod serves. They are swapped as a whole, so that a reader never sees half a change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import MappingProxyType

from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowProblem
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.errors import FlowNotFound
from asya_gateway.domain.identity.access import check_invoke, sees
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.text import printable

_NAMED, _LOOKED_AT = 20, 1000
"""Flows that an error names, and those among which they are looked for."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ServedFlow:
    """A flow with its compiled checks and its source. `check` checks a call's payload; `check_arguments` the arguments
    without the answers of mcp.input, None if the flow asks for no inputs. `check_result` checks results against the
    outputSchema; None if the flow has none. Compared by identity, because each generation of the registry creates its
    own."""

    flow: Flow
    check: ArgumentCheck
    source: str = ""
    line: int | None = None
    check_result: ArgumentCheck | None = None
    size: int = 0
    check_arguments: ArgumentCheck | None = None

    @classmethod
    def formerly(cls, name: str) -> "ServedFlow":
        """A flow that is no longer served but still has tasks. Only its name is known."""
        return cls(Flow.model_construct(name=name, entrypoint=""), lambda _arguments: ())


@dataclass(frozen=True, slots=True)
class FlowTable:
    """One generation of the registry, ordered by name."""

    generation: int = 0
    flows: dict[str, ServedFlow] = field(default_factory=dict)
    problems: tuple[FlowProblem, ...] = ()
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The names of the flows in each tool set, by the set's name: those that it names, and those with its tag."""
    named_sets: frozenset[str] = frozenset()
    """The sets that stand in `sets:`. They exist for everybody; a tag alone is a set for those who see such a flow."""
    changed_at: datetime | None = None
    """When the generation was made, equal on all pods; None before the first was read."""

    @classmethod
    def of(
        cls,
        generation: int,
        flows: Iterable[ServedFlow],
        problems: Iterable[FlowProblem] = (),
        sets: Mapping[str, frozenset[str]] = MappingProxyType({}),
        changed_at: datetime | None = None,
    ) -> "FlowTable":
        """A table ordered by flow name, because listings must be deterministic (MCP 2026-07-28, tools/list)."""
        ordered = sorted(flows, key=lambda served: served.flow.name)
        tagged: dict[str, set[str]] = {}
        for served in ordered:
            for tag in served.flow.tags:
                tagged.setdefault(tag, set()).add(served.flow.name)
        members = {name: sets.get(name, frozenset()) | tagged.get(name, set()) for name in {**sets, **tagged}}
        by_name = {served.flow.name: served for served in ordered}
        return cls(generation, by_name, tuple(problems), members, frozenset(sets), changed_at)

    def served(self, name: str) -> ServedFlow:
        """The flow of a task, as it is served now if it still is."""
        return self.flows.get(name) or ServedFlow.formerly(name)


class FlowRegistry:
    """Holds the current table. `swap` is atomic; readers keep the table that they have read."""

    def __init__(self) -> None:
        self._table = FlowTable()
        self._watchers: list[Callable[[FlowTable], None]] = []

    @property
    def table(self) -> FlowTable:
        """The current table."""
        return self._table

    def swap(self, table: FlowTable) -> None:
        """Replace the table, and call the watchers."""
        self._table = table
        for watcher in tuple(self._watchers):
            watcher(table)

    def watch(self, watcher: Callable[[FlowTable], None]) -> Callable[[], None]:
        """Call `watcher` after each swap; the returned function unsubscribes it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def tool(self, name: str, caller: Caller) -> ServedFlow:
        """A flow that is a tool, to be called over REST. Raises FlowNotFound, also for a flow that this caller may not
        see, and Denied for one that it may not call."""
        served = self._table.flows.get(name)
        if served is None or not sees(caller, served.flow) or not served.flow.is_tool:
            visible = served is not None and served.flow.mcp is not None and sees(caller, served.flow)
            raise FlowNotFound(
                f"{name} is no tool: it has `tool: false`, and is offered over MCP only"
                if visible
                else f"Unknown tool: {printable(name)}",
                field="name",
                available=self._some(lambda flow: flow.is_tool and sees(caller, flow)),
            )
        check_invoke(caller, served.flow)
        return served

    def skill(self, name: str, caller: Caller) -> ServedFlow:
        """A flow exposed as A2A skill, to be called. Raises FlowNotFound and Denied like tool."""
        served = self.seen_skill(name, caller)
        check_invoke(caller, served.flow)
        return served

    def seen_skill(self, name: str, caller: Caller) -> ServedFlow:
        """A flow exposed as A2A skill that the caller sees. Raises FlowNotFound."""
        served = self._table.flows.get(name)
        if served is None or served.flow.a2a is None or not sees(caller, served.flow):
            raise FlowNotFound(
                f"Unknown skill: {printable(name)}",
                field="skill",
                available=self.skills(caller),
            )
        return served

    def skills(self, caller: Caller) -> list[str]:
        """The first names of the skills that this caller sees."""
        return self._some(lambda flow: flow.a2a is not None and sees(caller, flow))

    def check(self, caller: Caller, name: str) -> None:
        """Raises Denied if the flow is served and the caller may not call it."""
        served = self._table.flows.get(name)
        if served is not None:
            check_invoke(caller, served.flow)

    def _some(self, wanted: Callable[[Flow], bool]) -> list[str]:
        """The first names of such flows, of which an error names some. A wrong name must not cost a walk through
        thousands."""
        candidates = islice(self._table.flows.values(), _LOOKED_AT)
        return list(islice((each.flow.name for each in candidates if wanted(each.flow)), _NAMED))

    def flows_after(self, name: str, most: int, most_size: int, caller: Caller) -> tuple[list[ServedFlow], bool]:
        """The first flows that some protocol exposes and the caller sees, after this name, and whether there are more:
        up to `most` flows with up to `most_size` characters together, but at least one."""
        found: list[ServedFlow] = []
        size = 0
        for served in self._table.flows.values():
            if served.flow.name <= name or not served.flow.exposed or not sees(caller, served.flow):
                continue
            size += served.size
            if found and (len(found) == most or size > most_size):
                return found, True
            found.append(served)
        return found, False
