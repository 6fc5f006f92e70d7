"""Tool sets: named parts of what a gateway offers. They stand in `sets:` of flows.yaml, and a flow's `tags` put it into
sets of these names. A set bounds what a client is shown; it gives and takes no right."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from asya_crds.flow_problem import FlowProblem, Source
from asya_crds.naming import check_flow_name
from asya_crds.yaml_text import Path

MAX_SETS = 1000
MAX_MEMBERS = 1000
RESERVED = frozenset({"sse", "messages", "agents"})
"""Words with another meaning below /mcp."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")


def check_set_name(name: str) -> str:
    """A name that can be a part of a path; raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "expected the name of a set: letters, digits, '_', '.' and '-', beginning and ending with a letter or "
            "digit, at most 64 characters"
        )
    if name in RESERVED:
        raise ValueError(f"expected another name: /mcp/{name} has a meaning of its own")
    return name


SetName = Annotated[str, AfterValidator(check_set_name)]


class FlowSet(BaseModel):
    """A set, the flows that it names (which may come later, or be resources), and where it stands; lines count from
    1."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: Annotated[str, Field(max_length=64)]
    flows: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=MAX_MEMBERS)
    source: Source = ""
    line: int | None = None


def read_sets(
    value: Any, source: str, line_of: Callable[[Path], int | None]
) -> tuple[list[FlowSet], list[FlowProblem]]:
    """The sets of a document's `sets:`, and what is wrong with the others."""

    def wrong(reason: str, *path: str | int) -> FlowProblem:
        place = ".".join(str(part)[:80] for part in ("sets", *path))
        return FlowProblem.of("", f"{place}: {reason}", source, line_of(("sets", *path)))

    if value is None:
        return [], []
    if not isinstance(value, dict):
        return [], [wrong("expected an object that maps each set's name to a list of flows")]
    if len(value) > MAX_SETS:
        return [], [wrong(f"expected at most {MAX_SETS} sets")]
    sets, problems = [], []
    for name, flows in value.items():
        try:
            check_set_name(str(name))
            sets.append(FlowSet(name=str(name), flows=_members(flows), source=source, line=line_of(("sets", name))))
        except ValueError as error:
            problems.append(wrong(str(error), name))
    return sets, problems


def _members(flows: Any) -> list[str]:
    if not isinstance(flows, list) or len(flows) > MAX_MEMBERS:
        raise ValueError(f"expected a list of at most {MAX_MEMBERS} flows")
    return [check_flow_name(flow) if isinstance(flow, str) else check_flow_name("") for flow in flows]


def without_repeated_sets(sets: list[FlowSet]) -> tuple[list[FlowSet], list[FlowProblem]]:
    """The first set of each name, and a problem for each later one."""
    kept: dict[str, FlowSet] = {}
    problems = []
    for each in sets:
        first = kept.setdefault(each.name, each)
        if first is not each:
            where = f"{first.source}, line {first.line}" if first.line else first.source
            reason = f"sets.{each.name}: the name is taken by {where}"
            problems.append(FlowProblem.of("", reason, each.source, each.line))
    return list(kept.values()), problems
