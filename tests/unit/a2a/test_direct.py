"""Streams that are one message or a task: what is held back, dropped and sent."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from asya_gateway.domain.conversations import Conversation
from asya_gateway.protocols.a2a import direct
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Event,
    Message,
    Part,
    PartKind,
    State,
    Status,
    StatusUpdate,
    TaskView,
)
from asya_gateway.protocols.a2a.streaming import Numbered

AT = datetime(2026, 1, 1, tzinfo=UTC)
TASK = TaskView("t", "c", Status(State.SUBMITTED, AT))


def artifact(text: str, **more: Any) -> Artifact:
    return Artifact("result", (Part(PartKind.TEXT, text),), **more)


def chunk(text: str, *, append: bool) -> ArtifactUpdate:
    return ArtifactUpdate("t", "c", artifact(text), append=append)


def status(state: State) -> StatusUpdate:
    return StatusUpdate("t", "c", Status(state, AT))


END = [ArtifactUpdate("t", "c", artifact("done"), last_chunk=True), status(State.COMPLETED)]


@dataclass
class Stub:
    """A request whose log is `told`; the limit is over when the log says "over"."""

    told: list[Event | str]
    revealed: list[str] = field(default_factory=list)
    over: bool = False
    tick: float = 1.0

    def block_limit(self) -> "Stub":
        return self

    @property
    def settings(self) -> Any:
        return SimpleNamespace(keepalive_interval=0.0)

    @property
    def conversations(self) -> "Stub":
        return self

    async def reveal(self, task_id: str) -> None:
        self.revealed.append(task_id)

    async def events(self, *_: Any, **__: Any) -> AsyncGenerator[Numbered]:
        for event in self.told:
            if isinstance(event, str):
                self.over = self.over or event == "over"
                yield "", None
            else:
                yield "1", event


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    async def run(mode: Any, *told: Event | str) -> tuple[list[Event | None], list[str]]:
        stub = Stub(list(told))
        monkeypatch.setattr(direct, "events", stub.events)
        conversation = Conversation("t", "o", "1.0", "c", None, mode)
        made: Any = stub
        found = [event async for _, event in direct.held_events(made, conversation, mode, None)]
        return found, stub.revealed

    return run


async def test_nothing_but_the_message_is_sent_and_keepalives_before_it(sent: Any) -> None:
    events, revealed = await sent("message", TASK, "quiet", chunk("a", append=False), *END)
    assert events[0] is None
    [_, message] = events
    assert isinstance(message, Message)
    assert (message.parts, message.context_id, message.task_id) == (artifact("done").parts, "c", "")
    assert message.message_id != "t"
    assert revealed == []


async def test_after_the_limit_the_task_is_sent_and_later_chunks_begin_anew(sent: Any) -> None:
    dropped, first, second = (chunk(text, append=text != "a") for text in "abc")
    events, revealed = await sent("message", TASK, dropped, "over", first, second, *END)
    assert events == [TASK, chunk("b", append=False), second, *END]
    assert revealed == ["t"]


async def test_a_chunk_makes_it_a_task_if_the_actor_may_choose(sent: Any) -> None:
    working, first = status(State.WORKING), chunk("a", append=False)
    events, revealed = await sent("auto", TASK, working, first, *END)
    assert events == [TASK, working, first, *END]
    assert revealed == ["t"]


@pytest.mark.parametrize("mode", ["message", "auto"])
async def test_a_task_that_has_ended_before_the_stream_is_one_event(sent: Any, mode: str) -> None:
    ended = TaskView("t", "c", Status(State.COMPLETED, AT), (artifact("done", as_message=True),))
    events, revealed = await sent(mode, ended)
    assert [type(event) for event in events] == [Message]
    assert revealed == []
    failed = TaskView("t", "c", Status(State.FAILED, AT))
    assert await sent(mode, failed) == ([failed], ["t"])
