"""docs/how-to/handlers.md: its examples run, its policies are read, its metrics exist."""

import re
from pathlib import Path
from typing import Any

import pytest

from asya_actor.contract.message import HandlerMessage
from asya_actor.handlers.invoking import Invocation
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.settings import worker_settings
from asya_actor.state.connector import Connectors
from asya_actor.state.mounts import parse_mounts
from asya_actor.state.patching import install
from asya_actor.telemetry.metrics import REGISTRY
from asya_crds.envelope import Envelope, Route
from tests.support.connector import connector

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
    ],
)
async def test_every_example_does_what_the_page_says(number: int, payload: Any, payloads: list[Any]) -> None:
    assert len(BLOCKS) == 6
    names: dict[str, Any] = {}
    exec(BLOCKS[number], names)
    found = names.get("process") or names.get("split") or names.get("ask") or names["Summariser"]().run
    message = HandlerMessage(Envelope("task", Route((), "here", ("review", "end")), payload))
    frames = await Invocation(found, message, Events(), HandlerThreads("page")).run(payload)
    assert [frame.payload for frame in frames] == payloads
    if number == 2:
        assert frames[0].route.next == ("end",)
        assert frames[0].headers == {"x-team": "blue"}


def test_the_example_that_keeps_files_keeps_them_below_its_mount(tmp_path: Path) -> None:
    mounts = re.findall(r"`ASYA_STATE_PROXY_MOUNTS=(\S+)`", PAGE)[0]
    names: dict[str, Any] = {}
    with connector(tmp_path, "visits") as store:
        undo = install(parse_mounts(mounts), Connectors(str(tmp_path)))
        try:
            exec(BLOCKS[5], names)
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


def test_the_table_has_every_metric_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(asya_actor_\w+)`", PAGE, re.MULTILINE)) == sorted(
        metric.name for metric in REGISTRY.collect()
    )
