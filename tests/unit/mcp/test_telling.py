"""What a call is told of its task, at a bounded rate."""

import json
from datetime import UTC, datetime
from typing import Any

from asya_crds.offloading import Offload
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.task import FlyEvent, JsonText, TaskUpdate
from asya_gateway.protocols.mcp.log_messages import OWN_LOGGER, LogMessages
from asya_gateway.protocols.mcp.progress import Beating, Progress
from asya_gateway.protocols.mcp.telling import MOST_WITHHELD, Telling


class Told:
    """A channel that keeps what it is given, and a clock that stands still."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.quiet_times = 0
        self.now = 0.0

    async def notify(self, text: JsonText) -> None:
        self.messages.append(json.loads(text)["params"])

    async def quiet(self) -> None:
        self.quiet_times += 1

    def rate(self) -> Rates:
        """Two at once, and one a second."""
        return Rates(1, 2, monotonic=lambda: self.now)

    @property
    def texts(self) -> list[str | None]:
        return [each.get("message") for each in self.messages]

    @property
    def values(self) -> list[float]:
        return [each["progress"] for each in self.messages]


def live(payload: Any) -> FlyEvent:
    return FlyEvent("t", "fly", json.dumps(payload))


def update(kind: UpdateKind, progress: float, message: str) -> TaskUpdate:
    status = TaskStatus.SUCCEEDED if kind is UpdateKind.FINAL else TaskStatus.RUNNING
    return TaskUpdate("t", 1, kind, status, progress, datetime.now(UTC), read_entry(kind, {"message": message}))


def telling(told: Told, progress: Progress | None = None) -> Telling:
    return Telling(told, Offload(), progress or Progress("p"), rate=told.rate())


async def test_above_its_rate_the_texts_of_a_call_are_joined_and_none_is_lost() -> None:
    """patterns/progress: "Both parties SHOULD implement rate limiting to prevent flooding"."""
    told = Told()
    channel = telling(told)
    for letter in "abcdef":
        await channel.tell(live({"token": letter}))
    assert told.texts == ["a", "b"]
    told.now = 1.0
    await channel.quiet()
    assert told.texts == ["a", "b", "cdef"]
    await channel.tell(live({"token": "g"}))
    await channel.quiet()
    assert (told.texts[3:], told.quiet_times) == ([], 1)
    await channel.tell(update(UpdateKind.FINAL, 100, "done"))
    assert told.texts == ["a", "b", "cdef", "g", None]
    assert told.values == sorted(set(told.values))
    assert told.values[-1] == 100


async def test_above_its_rate_the_newest_report_takes_the_place_of_earlier_ones() -> None:
    told = Told()
    channel = telling(told)
    for number in range(6):
        await channel.tell(update(UpdateKind.PROGRESS, number, f"step {number}"))
    await channel.tell(update(UpdateKind.FINAL, 100, "done"))
    assert told.texts == ["step 0", "step 1", "step 5", None]
    assert told.values == [0, 1, 5, 100]


async def test_withheld_text_is_bounded() -> None:
    told = Told()
    channel = telling(told)
    for _ in range(4):
        await channel.tell(live({"text": "x" * (MOST_WITHHELD // 2)}))
    assert [len(text or "") for text in told.texts] == [MOST_WITHHELD // 2, MOST_WITHHELD // 2, MOST_WITHHELD]


async def test_above_its_rate_log_messages_are_left_out_and_the_next_one_says_how_many() -> None:
    """server/utilities/logging: "Rate limit messages"."""
    told = Told()
    channel = Telling(told, Offload(), None, LogMessages(lambda: "info", told.rate()))
    for number in range(5):
        await channel.tell(live({"log": {"level": "info", "data": number}}))
        await channel.tell(live({"log": {"level": "debug", "data": number}}))
    assert [each["data"] for each in told.messages] == [0, 1]
    told.now = 1.0
    await channel.tell(live({"log": {"level": "error", "logger": "it", "data": 5}}))
    [left_out, last] = told.messages[2:]
    assert (left_out["level"], left_out["data"].split()[0]) == ("warning", "3")
    # Others are named by the flow, ours always alike.
    assert left_out["logger"] == OWN_LOGGER == "asya.gateway"
    assert (last["logger"], last["data"]) == ("it", 5)


async def test_who_wants_errors_only_is_not_told_what_was_left_out() -> None:
    told = Told()
    logs = LogMessages(lambda: "error", told.rate())
    channel = Telling(told, Offload(), None, logs)
    for _ in range(4):
        await channel.tell(live({"log": {"level": "error", "data": 0}}))
    told.now = 1.0
    await channel.tell(live({"log": {"level": "error", "data": 1}}))
    assert [each["level"] for each in told.messages] == ["error"] * 3


async def test_a_call_that_only_logs_has_progress_in_between() -> None:
    """A client that resets its timer on progress does not on log messages."""
    told, progress = Told(), Progress("p")
    channel = Telling(Beating(told, progress, 0.0), Offload(), progress, LogMessages(lambda: "info", told.rate()))
    for number in range(2):
        await channel.tell(live({"log": {"level": "info", "data": number}}))
    assert ["data" in each for each in told.messages] == [True, False, True, False]
    assert 0 <= told.messages[1]["progress"] < told.messages[3]["progress"] < 100


async def test_what_a_call_tells_of_itself_is_progress_enough() -> None:
    told, progress = Told(), Progress("p")
    channel = Telling(Beating(told, progress, 60.0), Offload(), progress)
    await channel.tell(live({"token": "a"}))
    await channel.quiet()
    assert (told.texts, told.quiet_times) == (["a"], 1)
