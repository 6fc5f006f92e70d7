"""Which flows a process serves: the response of GET /health/flows, which the command line reads."""

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
    """The state of the mounted file (served, operator, superseded or missing), and what it means."""

    path: str
    state: str
    hash: str | None
    reason: str | None


class FlowsJson(TypedDict):
    """GET /health/flows: which flows this process serves and which it leaves out. `file`: how its own file was read;
    null if it has none."""

    generation: int
    flows: list[ServedFlowJson]
    problems: list[FlowProblemJson]
    file: FlowsFileJson | None
