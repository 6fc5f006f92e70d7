"""Handlers for tests, as users would write them. `CALLS` and the gates belong to the tests of one process."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from typing_extensions import override

from tests.support.inputs import FOLDERS, NAME

CALLS: list[tuple[str, Any]] = []
GATE = threading.Event()
"""Closed by tests that block a handler."""
FAILURES = {"left": 0}


class Refusal(ValueError):
    """A business error of the tests' own."""


def reset() -> None:
    CALLS.clear()
    GATE.clear()
    FAILURES["left"] = 0


def echo(payload: Any) -> Any:
    CALLS.append(("echo", payload))
    return payload


def upper(payload: dict[str, Any]) -> dict[str, Any]:
    CALLS.append(("upper", payload))
    return {**payload, "text": payload["text"].upper()}


async def exclaim(payload: dict[str, Any]) -> dict[str, Any]:
    CALLS.append(("exclaim", payload))
    await asyncio.sleep(0)
    return {**payload, "text": payload["text"] + "!"}


def grows(payload: dict[str, Any]) -> dict[str, Any]:
    """Its result has as many characters as the payload says."""
    return {"text": "x" * payload["size"]}


def nothing(payload: Any) -> None:
    CALLS.append(("nothing", payload))


def a_list(payload: Any) -> list[Any]:
    return [payload, payload]


def refuse(payload: Any) -> Any:
    CALLS.append(("refuse", payload))
    raise Refusal("no, thank you")


class Unspeakable(ValueError):
    """Raises when its message is read."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("no words")


def speechless(payload: Any) -> Any:
    CALLS.append(("speechless", payload))
    raise Unspeakable


def flaky(payload: Any) -> Any:
    """Fails as often as FAILURES says."""
    CALLS.append(("flaky", payload))
    if FAILURES["left"] > 0:
        FAILURES["left"] -= 1
        raise ConnectionResetError("the line was cut")
    return payload


def gated(payload: Any) -> Any:
    CALLS.append(("gated", payload))
    assert GATE.wait(30)
    return payload


async def loop_of(payload: Any) -> Any:
    """The module of the event loop that the worker runs on."""
    return type(asyncio.get_running_loop()).__module__


def pid_of(payload: Any) -> Any:
    """The worker's process."""
    return os.getpid()


async def gated_async(payload: Any) -> Any:
    CALLS.append(("gated_async", payload))
    while not GATE.is_set():
        await asyncio.sleep(0.01)
    return payload


async def never(payload: Any) -> Any:
    CALLS.append(("never", payload))
    await asyncio.Event().wait()


def never_in_a_thread(payload: Any) -> Any:
    CALLS.append(("never_in_a_thread", payload))
    threading.Event().wait()


def split(payload: dict[str, Any]) -> Iterator[Any]:
    CALLS.append(("split", payload))
    for number in range(payload["parts"]):
        yield {"part": number}


async def split_async(payload: dict[str, Any]) -> AsyncIterator[Any]:
    for number in range(payload["parts"]):
        yield {"part": number}


def no_frames(payload: Any) -> Iterator[Any]:
    CALLS.append(("no_frames", payload))
    yield from ()


def tokens(payload: dict[str, Any]) -> Iterator[Any]:
    for number in range(payload["count"]):
        yield "FLY", {"type": "text_delta", "token": f"t{number}"}
    yield {"said": payload["count"]}


async def tokens_async(payload: dict[str, Any]) -> AsyncIterator[Any]:
    for number in range(payload["count"]):
        yield "FLY", {"type": "text_delta", "token": f"t{number}"}
    yield {"said": payload["count"]}


def waits_for_readers(payload: dict[str, Any]) -> Iterator[Any]:
    CALLS.append(("waits_for_readers", payload))
    assert GATE.wait(30)
    yield from tokens(payload)


def ends_early(payload: Any) -> Iterator[Any]:
    yield "SET", ".route.next", []
    yield {"ended": True}


def inserts_an_actor(payload: Any) -> Iterator[Any]:
    yield "SET", ".route.next[:0]", ["exclaim"]
    yield payload


def looks_around(payload: Any) -> Iterator[Any]:
    found: dict[str, Any] = {
        "id": (yield "GET", ".id"),
        "next": (yield "GET", ".route.next"),
        "last": (yield "GET", ".route.next[-1]"),
        "prev": (yield "GET", ".route.prev"),
        "curr": (yield "GET", ".route.curr"),
    }
    yield "SET", ".headers.x-seen", True
    yield "SET", '.headers["x seen"]', {"deep": [1]}
    yield "SET", '.headers["x seen"].deep[0]', 2
    found["seen"] = yield "GET", '.headers["x seen"]'
    try:
        yield "SET", ".id", "another"
    except PermissionError as error:
        found["refused"] = str(error)
    yield
    yield found


def asks(payload: dict[str, Any]) -> Iterator[Any]:
    """Pauses from an actor of its own."""
    yield (
        "SET",
        ".headers.x-asya-pause",
        {
            "prompt": "Approve?",
            "fields": [{"name": "approved", "type": "boolean", "payload_key": "/order/approved"}],
        },
    )
    yield payload


def asks_inputs(payload: dict[str, Any]) -> Iterator[Any]:
    """Asks its person and its client, with what the payload says besides."""
    question = {"inputs": {"name": NAME, "folders": FOLDERS}, **payload.get("question", {})}
    yield "SET", ".headers.x-asya-pause", question
    yield {key: value for key, value in payload.items() if key != "question"}


def asks_for_an_authorization(payload: dict[str, Any]) -> Iterator[Any]:
    """Waits until somebody has signed in at a URL."""
    question = {"prompt": "Sign in", "url": "https://login.example.com/start", "status": "auth_required"}
    yield "SET", ".headers.x-asya-pause", question
    yield payload


class Counter:
    """A handler with state."""

    def __init__(self, start: int = 10) -> None:
        self.count = start

    def add(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        return {"count": self.count}

    async def add_async(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.add(payload)


class NeedsArguments:
    def __init__(self, required: str) -> None:
        self.required = required

    def run(self, payload: Any) -> Any:
        return payload


def split_again(payload: Any) -> Iterator[Any]:
    yield payload
    yield payload


def fails_on_odd(payload: dict[str, Any]) -> Any:
    if payload["part"] % 2:
        raise Refusal("odd")
    return payload


def endless_generator(payload: Any) -> Iterator[Any]:
    CALLS.append(("endless_generator", payload))
    while not GATE.wait(0.05):
        yield None


def exits(payload: Any) -> Any:
    raise SystemExit(3)


def not_json(payload: Any) -> Any:
    return {"what": {1, 2}}


def unknown_verb(payload: Any) -> Iterator[Any]:
    yield "PUT", ".headers.x", 1


def large_event(payload: Any) -> Iterator[Any]:
    try:
        yield "FLY", {"text": "x" * (1024 * 1024)}
    except ValueError as error:
        yield {"refused": str(error)}


def eleven_mebibytes(payload: Any) -> Any:
    return "x" * (11 * 1024 * 1024)


def tells_its_deadline(payload: Any) -> Iterator[Any]:
    deadline = yield "GET", ".status.deadline_at"
    yield {"deadlines": [*payload.get("deadlines", []), deadline]}


def phase_of(payload: Any) -> Iterator[Any]:
    """What a hook may ask of the message that ended."""
    CALLS.append(("phase_of", (yield "GET", ".status.phase")))


def fifty_mebibytes(payload: Any) -> Iterator[Any]:
    for number in range(10):
        yield {"part": number, "text": "x" * (5 * 1024 * 1024 + 4096)}


async def gated_if_asked(payload: dict[str, Any]) -> Any:
    CALLS.append(("gated_if_asked", payload))
    while payload.get("waits") and not GATE.is_set():
        await asyncio.sleep(0.01)
    return payload


def greets(payload: dict[str, Any]) -> dict[str, Any]:
    hello = {"role": "assistant", "content": f"Hello, {payload['who']}!"}
    image = {"role": "user", "content": {"type": "image", "data": "aGk=", "mimeType": "image/png"}}
    return {"messages": [hello, image]}


def reads(payload: dict[str, Any]) -> Any:
    if payload.get("id") == 404:
        return {"contents": []}
    return {"blob": "aGk=", "mimeType": "image/png"} if payload.get("id") == 7 else f"# Handbook {payload}"


def announces(payload: dict[str, Any]) -> Iterator[Any]:
    yield "FLY", {"resource_updated": payload["uri"]}
    yield payload
