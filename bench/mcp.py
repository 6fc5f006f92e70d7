"""MCP beside FastMCP's own server, beside REST, and what sessions and open streams cost."""

import contextlib
import json
import resource
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench import mcp_messages
from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Outcome, Plan, request_bytes, run_load
from bench.mcp_listeners import Listeners, Listening
from bench.mcp_messages import CALL, HANDSHAKE, LIST, LISTEN, NEWEST, McpRequest, old_call, open_session
from bench.peer_servers import peer_server
from bench.rows import ARGUMENTS
from bench.stage import CONNECTIONS, GatewayProcess, Stage, cpu_of_family
from bench.work import WAIT, placed
from bench.work_programs import Deployment, gateways, workers

TOOLS = 20
SESSIONS, QUICK_SESSIONS = 1_000, 100
FASTMCP = "FastMCP's server"
KEY = "bench-key-of-a-client"
AUTHORIZATION = f"Authorization: Bearer {KEY}"

LOOKS_OFTEN = {"ASYA_CONFIG_POLL_INTERVAL": "50ms"}
"""The file is looked at so often that the figure is not the time until somebody looks."""


def lists(stage: Stage) -> list[Figure]:
    """tools/list of 20 tools."""
    with _ours(stage) as port, _fastmcp(stage) as peer:
        mine, others = stage.interleaved(partial(_rate, stage, port, LIST), partial(_rate, stage, peer, LIST))
    return [_figure(f"tools/list, {TOOLS} tools", mine, FASTMCP, others, Target(5.0))]


def calls(stage: Stage) -> list[Figure]:
    """tools/call of an echo tool: here through a queue and a worker, durable; there a function of the server. Clients
    of both eras, because FastMCP's server answers those of the handshake era, as most are, with streams."""
    old = old_call()
    with _ours(stage) as port, _fastmcp(stage) as peer:
        mine, others, old_mine, old_others, rest = stage.interleaved(
            partial(_rate, stage, port, CALL),
            partial(_rate, stage, peer, CALL),
            partial(_rate, stage, port, old),
            partial(_rate, stage, peer, old),
            partial(_rest_rate, stage, port),
        )
    return [
        _figure(f"tools/call of {HANDSHAKE}, inline", old_mine, FASTMCP, old_others, Target(3.0)),
        _figure(f"tools/call of {NEWEST}, inline", mine, FASTMCP, others, Target(3.0)),
        _figure("tools/call, inline, beside REST", mine, "POST /tools/call, Prefer: wait", rest, Target(0.8)),
    ]


def sessions(stage: Stage) -> list[Figure]:
    """CPU of the gateway for a call of 2025-11-25 in a session, compared with one without."""
    inside: list[float] = []
    outside: list[float] = []
    deployment = Deployment(stage)
    with _ours(stage, deployment) as port:
        session = open_session(port)
        for _ in range(stage.effort.rounds):
            outside.append(_cpu_of_a_call(stage, deployment, port, old_call()))
            inside.append(_cpu_of_a_call(stage, deployment, port, old_call(session)))
    ratio = paired_ratio(inside, outside)
    target = Target(1.2, most=True)
    return [Figure("call in a session, CPU", median(inside), "us", "without one", median(outside), ratio, target)]


def memory(stage: Stage) -> list[Figure]:
    """What idle sessions, their GET streams, and listeners keep in memory, and when the last listener hears."""
    count = QUICK_SESSIONS if stage.effort.quick else SESSIONS
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    flows = stage.folder / "listened-flows.yaml"
    _write(flows, TOOLS)
    with (
        stage.database() as url,
        # A caller with a key may have a thousand sessions, a network without an identity 200.
        stage.gateway("api", url, ASYA_CONFIG_PATH=str(flows), ASYA_MCP_API_KEY=KEY, **LOOKS_OFTEN) as api,
    ):
        ids = [open_session(api.port, AUTHORIZATION) for _ in range(20)]
        before = api.memory
        ids += [open_session(api.port, AUTHORIZATION) for _ in range(count)]
        idle = (api.memory - before) / count / 1024
        streams = [_get(session) for session in ids[-count:]]
        head = f"{LISTEN.head}\r\n{AUTHORIZATION}"
        listeners = [request_bytes("/mcp", LISTEN.body, head).decode()] * count
        kept = {kind: _kept(api, requests) for kind, requests in (("GET", streams), ("listen", listeners))}
        heard = _heard(api.port, listeners, flows)
    missed = "" if heard >= 0 else "a listener heard nothing"
    return [
        Figure(f"memory of an idle session, {count}", idle, "kB"),
        Figure(f"memory of a GET stream, {count}", kept["GET"], "kB"),
        Figure(f"memory of a listen stream, {count}", kept["listen"], "kB"),
        Figure(
            f"change to the last of {count} listeners", heard / 1e6, "ms", target=Target(1000, most=True), broken=missed
        ),
    ]


def _kept(api: GatewayProcess, requests: list[str]) -> float:
    before = api.memory
    with Listeners(Listening(api.port, requests, "never")):
        time.sleep(1.0)
        return float(api.memory - before) / len(requests) / 1024


def _heard(port: int, requests: list[str], flows: Path) -> int:
    """Nanoseconds from a change of the flows file to the last listener; negative if one heard nothing."""
    with Listeners(Listening(port, requests, "list_changed")) as listening:
        listening.expect()
        began = time.monotonic_ns()
        _write(flows, TOOLS + 1)
        last = listening.last()
        return last - began if last >= 0 else -1


def _get(session: str) -> str:
    lines = [f"MCP-Protocol-Version: {mcp_messages.HANDSHAKE}", f"Mcp-Session-Id: {session}", AUTHORIZATION]
    head = "\r\n".join(["GET /mcp HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream", *lines])
    return head + "\r\n\r\n"


def _figure(name: str, mine: list[float], peer: str, others: list[float], target: Target) -> Figure:
    return Figure(name, median(mine), "/s", peer, median(others), paired_ratio(mine, others), target)


def _load(stage: Stage, port: int, request: McpRequest) -> Outcome:
    effort = stage.effort
    plan = Plan(port, [("/mcp", request.body)], CONNECTIONS, effort.seconds, effort.warm_up, headers=[request.head])
    outcome = run_load(plan)
    if outcome.problem:
        raise RuntimeError(outcome.problem)
    return outcome


def _rate(stage: Stage, port: int, request: McpRequest) -> float:
    return _load(stage, port, request).per_second


def _rest_rate(stage: Stage, port: int) -> float:
    effort = stage.effort
    body = json.dumps({"name": mcp_messages.TOOL, "arguments": ARGUMENTS})
    plan = Plan(port, [("/tools/call", body)], CONNECTIONS, effort.seconds, effort.warm_up, headers=[WAIT])
    outcome = run_load(plan)
    if outcome.problem:
        raise RuntimeError(outcome.problem)
    return outcome.per_second


def _cpu_of_a_call(stage: Stage, deployment: Deployment, port: int, request: McpRequest) -> float:
    """Microseconds of the api process."""
    [pid] = deployment.pids["api"]
    before = cpu_of_family(pid)
    outcome = _load(stage, port, request)
    return (cpu_of_family(pid) - before) / outcome.accepted * 1e6


@contextlib.contextmanager
def _ours(stage: Stage, deployment: Deployment | None = None) -> Iterator[int]:
    """The port of an api process, with mesh, worker and crew behind it."""
    deployment = deployment or Deployment(stage)
    flows = stage.folder / "mcp-flows.yaml"
    _write(flows, TOOLS)
    with placed(stage, "postgres") as place:
        variables = {**place.variables, "ASYA_CONFIG_PATH": str(flows)}
        place = type(place)(place.database_url, variables)
        with (
            gateways(stage, place, deployment, "mesh", "api") as port,
            workers(stage, place, deployment, {"bench-first": "echo"}, {}),
        ):
            warm = Plan(port, [("/mcp", CALL.body)], 1, 30.0, 0.0, total=1, headers=[CALL.head])
            run_load(warm)  # until the worker has started
            yield port


def _write(path: Path, tools: int) -> None:
    """A flows file with so many tools, one of which echoes."""
    names = [mcp_messages.TOOL, *(f"tool_{number:02d}" for number in range(tools - 1))]
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["text", "count"],
    }
    flows = [
        {
            "name": name,
            "description": "Says what it hears.",
            "entrypoint": "bench-first",
            "timeout": "1h",
            "mcp": {"inputSchema": schema},
        }
        for name in names
    ]
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps({"flows": flows}))
    whole.replace(path)


def _fastmcp(stage: Stage) -> AbstractContextManager[int]:
    """The port of FastMCP's server with the same tools."""
    return peer_server(stage, "fastmcp_app.py", "/mcp", LIST.body, LIST.head)
