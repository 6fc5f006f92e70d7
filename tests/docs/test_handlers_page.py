"""docs/how-to/handlers.md: its examples run, its policies are read, its metrics exist."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from asya_actor.contract.message import Frame, HandlerMessage
from asya_actor.handlers.invoking import Invocation
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.settings import worker_settings
from asya_actor.state.connector import Connectors
from asya_actor.state.mounts import parse_mounts
from asya_actor.state.patching import install
from asya_actor.telemetry.metrics import REGISTRY
from asya_cli.dev.actors_file import load_actors
from asya_cli.dev.child import worker_of
from asya_cli.dev.handlers import spec_of
from asya_crds.answers import AnswerAction
from asya_crds.envelope import Envelope, Route
from asya_crds.merging import merge
from asya_gateway.domain.inputs import places_of
from asya_gateway.domain.pausing import read_pause
from asya_gateway.domain.reports import PauseReport
from asya_gateway.protocols.mesh.progress import decode_progress
from tests.support.connector import connector
from tests.support.inputs import LISTED, SAMPLED

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "handlers.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


class Events:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def put(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    def put_from_thread(self, event: dict[str, Any]) -> None:
        self.sent.append(event)


@pytest.mark.parametrize(
    ("number", "payload", "payloads"),
    [
        (0, {"text": "hi"}, [{"text": "HI"}]),
        (1, {"text": "A. B. C"}, [{"text": "A. B. C", "summary": "A. B"}]),
        (2, {"urgent": True}, [{"urgent": True, "text": "Hello"}]),
        (3, {"pages": ["p", "q"]}, [{"number": 0, "page": "p"}, {"number": 1, "page": "q"}]),
        (4, {"amount": 5}, [{"amount": 5}]),
        (5, {"amount": 5, "text": "long"}, [{"amount": 5, "text": "long"}]),
        (6, {"amount": 5}, [{"amount": 5}]),
    ],
)
async def test_every_example_does_what_the_page_says(number: int, payload: Any, payloads: list[Any]) -> None:
    assert len(BLOCKS) == 8
    frames = await run(number, payload)
    assert [frame.payload for frame in frames] == payloads
    if number == 2:
        assert frames[0].route.next == ("end",)
        assert frames[0].headers == {"x-team": "blue"}
    if number in (4, 5, 6):
        # Mesh takes the question, and there is a place for each answer.
        question = frames[0].headers["x-asya-pause"]
        report = {
            "status": "paused",
            "pause_metadata": question,
            "prev": ["here"],
            "curr": "end",
            "checkpoint": {"id": "task", "route": {"prev": [], "curr": "end", "next": []}, "payload": payloads[0]},
        }
        asked = decode_progress("task", report)
        assert isinstance(asked, PauseReport)
        assert asked.pause.url == ("https://calendar.example.com/connect?task=task" if number == 6 else None)


async def run(number: int, payload: Any) -> Sequence[Frame]:
    names: dict[str, Any] = {}
    exec(BLOCKS[number], names)
    given = [names[name] for name in ("process", "split", "ask", "connect") if name in names]
    found = given[0] if given else names["Summariser"]().run
    message = HandlerMessage(Envelope("task", Route((), "here", ("review", "end")), payload))
    return await Invocation(found, message, Events(), HandlerThreads("page")).run(payload)


async def test_the_answers_to_the_inputs_of_the_page_are_where_its_next_actor_looks() -> None:
    (frame,) = await run(5, {"amount": 5, "text": "long"})
    pause = read_pause(frame.headers["x-asya-pause"], "p")
    accepted = {"action": "accept", "content": {"approved": True}}
    answers = {"refund": accepted, "summary": SAMPLED, "folders": LISTED}
    payload = merge(frame.payload, answers, places_of(pause, AnswerAction.ACCEPT))
    names: dict[str, Any] = {}
    exec(BLOCKS[5], names)
    assert names["decide"](payload) == {"refunded": 5, "why": SAMPLED["content"]}


def test_the_example_that_keeps_files_keeps_them_below_its_mount(tmp_path: Path) -> None:
    mounts = re.findall(r"`ASYA_STATE_PROXY_MOUNTS=(\S+)`", PAGE)[0]
    names: dict[str, Any] = {}
    with connector(tmp_path, "visits") as store:
        undo = install(parse_mounts(mounts), Connectors(str(tmp_path)))
        try:
            exec(BLOCKS[7], names)
            for turn in (1, 2):
                assert names["remember"]({"who": "ada", "at": turn}) == {"who": "ada", "at": turn, "visits": turn}
        finally:
            undo()
    assert store.keys == {"ada.json": b"[1, 2]"}


def test_the_policies_and_rules_of_the_page_are_read() -> None:
    policies, rules = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    settings = worker_settings(
        {"actor_name": "a", "handler": "m.f", "resiliency_policies": policies, "resiliency_rules": rules}
    )
    assert settings.resiliency.policies["network"].on_exhausted == ("fallback",)
    assert settings.resiliency.policies["network"].attempts is None


def test_actors_yaml_of_the_page_says_the_same_as_its_variables(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "actors.yaml"
    path.write_text(text)
    (actor,) = load_actors(path)
    policies, rules = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    by_variables = worker_settings(
        {"actor_name": "a", "handler": "m.f", "resiliency_policies": policies, "resiliency_rules": rules}
    )
    by_file = worker_of(spec_of(actor))
    assert by_file.resiliency == by_variables.resiliency
    assert by_file.resiliency_actor_timeout == 60.0


def test_the_table_has_every_metric_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(asya_actor_\w+)`", PAGE, re.MULTILINE)) == sorted(
        metric.name for metric in REGISTRY.collect()
    )
