"""A2A beside the server of its SDK with an executor that echoes in its own process, tasks in memory."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Outcome, Plan, run_load
from bench.peer_servers import peer_server
from bench.stage import CONNECTIONS, Stage, cpu_of_family
from bench.work import placed
from bench.work_programs import Deployment, gateways, workers

SKILLS = 20
SDK = "the SDK's server"
VERSION = "A2A-Version: 1.0"
ENDPOINT = "/a2a/"
CARD = "/.well-known/agent-card.json"
EXTENDED = "/a2a/extendedAgentCard"
ACTORS = {"bench-first": "echo", "bench-tokens": "tokens"}
KEY = "bench-key-of-a-client"
AUTHORIZATION = f"Authorization: Bearer {KEY}"


def send(stage: Stage) -> list[Figure]:
    """SendMessage that returns at once: here a task in the database, which workers work on meanwhile or, as in the
    benchmarks of calls, nobody; there one in memory, which the server itself works on."""
    body = message("hello", wait=False)
    busy = _beside(stage, "SendMessage, returnImmediately, with workers", body, None)
    return _beside(stage, "SendMessage, returnImmediately", body, 3.0, works=False) + busy


def blocking(stage: Stage) -> list[Figure]:
    """SendMessage that waits: here through a queue and a worker, there a function of the server."""
    return _beside(stage, "SendMessage, blocking", message("hello"), 1.0)


def streams(stage: Stage) -> list[Figure]:
    """Whole streams of 20 live events, from the message to the end."""
    body = message("stream", "SendStreamingMessage", skill="tokens")
    return _beside(stage, "SendStreamingMessage, 20 chunks", body, 2.0)


def cards(stage: Stage) -> list[Figure]:
    """The agent card of 20 skills: from the cache beside the SDK's server, and beside one that is made anew."""
    return [*_beside(stage, f"agent card, {SKILLS} skills", "", None, path=CARD), _from_cache(stage)]


def _from_cache(stage: Stage) -> Figure:
    """CPU of the api process for the public card, which is kept, beside that for the extended card, which is made for
    each caller. Both are asked for with the same key."""
    flows = stage.folder / "card-flows.yaml"
    _write(flows)
    with (
        stage.database() as url,
        stage.gateway("api", url, ASYA_CONFIG_PATH=str(flows), ASYA_MCP_API_KEY=KEY) as api,
    ):
        sides = [partial(_cpu, stage, api.port, api.process.pid, path) for path in (CARD, EXTENDED)]
        kept, made = stage.interleaved(*sides)
    # How often the dearer one could be had for the cheaper one's CPU is what the cache saves.
    ratio = paired_ratio(made, kept)
    name = f"agent card of {SKILLS} skills from the cache, CPU"
    return Figure(name, median(kept), "us", "made anew for its caller", median(made), ratio)


def _cpu(stage: Stage, port: int, pid: int, path: str) -> float:
    """Microseconds of this process for a GET."""
    effort, before = stage.effort, cpu_of_family(pid)
    headers = [VERSION + "\r\n" + AUTHORIZATION]
    plan = Plan(port, [(path, "")], CONNECTIONS, effort.seconds, effort.warm_up, headers=headers)
    outcome = _run(port, plan)
    return (cpu_of_family(pid) - before) / outcome.accepted * 1e6


def lists(stage: Stage) -> list[Figure]:
    """ListTasks of a caller with 20 tasks: here from the database, there from memory."""
    params = {"pageSize": 20, "historyLength": 0}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params})
    return _beside(stage, "ListTasks, 20 tasks", body, None, tasks=20)


def message(text: str, method: str = "SendMessage", *, wait: bool = True, skill: str = "one") -> str:
    """The body of a message. The SDK's server knows no skills, and ignores the name of one."""
    said = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
    params = {"message": said, "configuration": {"returnImmediately": not wait}, "metadata": {"skill": skill}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def _beside(
    stage: Stage, name: str, body: str, least: float | None, *, path: str = ENDPOINT, tasks: int = 0, works: bool = True
) -> list[Figure]:
    deployment = Deployment(stage)
    cpu: list[float] = []
    with _ours(stage, deployment, works=works) as port, _sdk(stage) as peer:
        for each in (port, peer):
            if tasks:
                _run(each, Plan(each, [(ENDPOINT, message("hello"))], 1, 30.0, 0.0, total=tasks, headers=[VERSION]))
        mine, others = stage.interleaved(
            partial(_watched_rate, stage, port, path, body, deployment.pids["api"], cpu),
            partial(_rate, stage, peer, path, body),
        )
    target = Target(least) if least is not None else None
    ratio, notes = paired_ratio(mine, others), (f"CPU a request: api process {median(cpu):.0f} us",)
    details = {"gateway_cpu_us": cpu}
    return [Figure(name, median(mine), "/s", SDK, median(others), ratio, target, notes=notes, details=details)]


def _watched_rate(stage: Stage, port: int, path: str, body: str, pids: Sequence[int], cpu: list[float]) -> float:
    """The rate of ours; adds the CPU of a request in microseconds."""
    before = sum(map(cpu_of_family, pids))
    outcome = _load(stage, port, path, body)
    cpu.append((sum(map(cpu_of_family, pids)) - before) / outcome.accepted * 1e6)
    return outcome.per_second


def _rate(stage: Stage, port: int, path: str, body: str) -> float:
    return _load(stage, port, path, body).per_second


def _load(stage: Stage, port: int, path: str, body: str) -> Outcome:
    effort = stage.effort
    return _run(port, Plan(port, [(path, body)], CONNECTIONS, effort.seconds, effort.warm_up, headers=[VERSION]))


def _run(port: int, plan: Plan) -> Outcome:
    outcome = run_load(plan)
    if outcome.problem:
        raise RuntimeError(f"{port}: {outcome.problem}")
    return outcome


@contextlib.contextmanager
def _ours(stage: Stage, deployment: Deployment, *, works: bool) -> Iterator[int]:
    """The port of an api process, with mesh behind it, and with workers and crew if anybody `works`."""
    flows = stage.folder / "a2a-flows.yaml"
    _write(flows)
    with placed(stage, "postgres") as place:
        place = type(place)(place.database_url, {**place.variables, "ASYA_CONFIG_PATH": str(flows)})
        with contextlib.ExitStack() as stack:
            port = stack.enter_context(gateways(stage, place, deployment, "mesh", "api"))
            if works:
                stack.enter_context(workers(stage, place, deployment, ACTORS, {}))
            # Until the workers have started.
            for skill in ("one", "tokens"):
                first = message("hello", wait=works, skill=skill)
                _run(port, Plan(port, [(ENDPOINT, first)], 1, 30.0, 0.0, total=1, headers=[VERSION]))
            yield port


def _write(path: Path) -> None:
    """A flows file with so many skills: one echoes, one streams."""
    names = ["one", "tokens", *(f"skill_{number:02d}" for number in range(SKILLS - 2))]
    flows = [
        {
            "name": name,
            "description": "Says what it hears.",
            "entrypoint": "bench-tokens" if name == "tokens" else "bench-first",
            "timeout": "1h",
            "a2a": {"tags": ["echo"]},
        }
        for name in names
    ]
    path.write_text(json.dumps({"flows": flows}))


def _sdk(stage: Stage) -> AbstractContextManager[int]:
    """The port of the SDK's server."""
    return peer_server(stage, "a2a_app.py", ENDPOINT, message("hello"), VERSION)
