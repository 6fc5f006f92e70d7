"""Which flows a process serves (GET /health/flows, which the command line reads), and which a caller may see (GET
/flows)."""

from typing import Any

from typing_extensions import TypedDict


class ServedFlowJson(TypedDict):
    """A flow that this process serves; `mcp` and `a2a`: whether that protocol offers it."""

    name: str
    actors: list[str]
    mcp: bool
    a2a: bool
    source: str
    line: int | None


class FlowProblemJson(TypedDict):
    """A flow, or a whole source, that is not served, and why."""

    name: str
    reason: str
    source: str
    line: int | None


class FlowsFileJson(TypedDict):
    """The state of the mounted file (served, unreadable, operator, superseded or missing), and what it means."""

    path: str
    state: str
    hash: str | None
    reason: str | None


class UnroutableJson(TypedDict):
    """An actor whose queue is missing: how many messages wait for it, and why they cannot be delivered."""

    actor: str
    messages: int
    reason: str


class FlowsJson(TypedDict):
    """GET /health/flows: which flows this process serves and which it leaves out. `unroutable`: actors whose queues are
    missing. `file`: how its own file was read; null if it has none."""

    generation: int
    flows: list[ServedFlowJson]
    problems: list[FlowProblemJson]
    unroutable: list[UnroutableJson]
    file: FlowsFileJson | None


class FlowSummaryJson(TypedDict):
    """A flow as its callers see it. `mcp` and `a2a`: which protocol offers it; `input_schema` is null if it is no tool;
    `callable`: whether this caller may call it."""

    name: str
    description: str
    input_schema: dict[str, Any] | None
    mcp: bool
    a2a: bool
    callable: bool


class FlowPageJson(TypedDict):
    """GET /flows: the flows that the caller may see, by name. `next_cursor` is null on the last page."""

    flows: list[FlowSummaryJson]
    next_cursor: str | None
