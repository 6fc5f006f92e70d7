"""A2A beside the server of its SDK with an executor that echoes in its own process, tasks in memory."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Plan, run_load
from bench.peer_servers import peer_server
from bench.stage import CONNECTIONS, Stage
from bench.work import placed
from bench.work_programs import Deployment, gateways, workers

SKILLS = 20
SDK = "the SDK's server"
VERSION = "A2A-Version: 1.0"
ENDPOINT = "/a2a/"
CARD = "/.well-known/agent-card.json"
ACTORS = {"bench-first": "echo", "bench-tokens": "tokens"}


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
    """The agent card of 20 skills."""
    return _beside(stage, f"agent card, {SKILLS} skills", "", None, path=CARD)


def lists(stage: Stage) -> list[Figure]:
    """ListTasks of a caller with 20 tasks."""
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
    with _ours(stage, works=works) as port, _sdk(stage) as peer:
        for each in (port, peer):
            if tasks:
                _run(each, Plan(each, [(ENDPOINT, message("hello"))], 1, 30.0, 0.0, total=tasks, headers=[VERSION]))
        sides = [partial(_rate, stage, each, path, body) for each in (port, peer)]
        mine, others = stage.interleaved(*sides)
    target = Target(least) if least is not None else None
    return [Figure(name, median(mine), "/s", SDK, median(others), paired_ratio(mine, others), target)]


def _rate(stage: Stage, port: int, path: str, body: str) -> float:
    effort = stage.effort
    return _run(port, Plan(port, [(path, body)], CONNECTIONS, effort.seconds, effort.warm_up, headers=[VERSION]))


def _run(port: int, plan: Plan) -> float:
    outcome = run_load(plan)
    if outcome.problem:
        raise RuntimeError(f"{port}: {outcome.problem}")
    return outcome.per_second


@contextlib.contextmanager
def _ours(stage: Stage, *, works: bool) -> Iterator[int]:
    """The port of an api process, with mesh behind it, and with workers and crew if anybody `works`."""
    deployment = Deployment(stage)
    flows = stage.folder / "a2a-flows.yaml"
    _write(flows)
    with placed(stage, "postgres") as place:
        place = type(place)(place.database_url, {**place.variables, "ASYA_CONFIG_PATH": str(flows)})
        with (
            gateways(stage, place, deployment, "mesh", "api") as port,
            workers(stage, place, deployment, ACTORS, {}),
        ):
            # Until the workers have started.
            for skill in ("one", "tokens"):
                _run(
                    port,
                    Plan(port, [(ENDPOINT, message("hello", skill=skill))], 1, 30.0, 0.0, total=1, headers=[VERSION]),
                )
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
