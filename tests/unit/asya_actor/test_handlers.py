"""Finding and calling handlers."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from typing_extensions import override

from asya_actor.contract.message import HandlerMessage
from asya_actor.handlers.invoking import HandlerFailed, Invocation
from asya_actor.handlers.loading import HandlerNotFound, is_async, load_handler
from asya_actor.handlers.threads import HandlerThreads
from asya_crds.envelope import Envelope, Route


class Events:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def put(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    def put_from_thread(self, event: dict[str, Any]) -> None:
        self.sent.append(event)


class Callable:
    async def __call__(self, payload: Any) -> Any:
        return payload

    async def method(self, payload: Any) -> Any:
        return payload

    async def generator(self, payload: Any) -> AsyncIterator[Any]:
        yield payload

    def plain(self, payload: Any) -> Any:
        return payload

    def plain_generator(self, payload: Any) -> Iterator[Any]:
        yield payload


def test_what_runs_in_the_event_loop_is_known_before_it_is_called() -> None:
    one = Callable()
    for handler in (one, one.method, one.generator, functools.partial(one.method), functools.partial(one.generator)):
        assert is_async(handler)
    for plain in (one.plain, one.plain_generator, functools.partial(one.plain), lambda payload: payload, len):
        assert not is_async(plain)


def invocation(handler: Any, events: Events | None = None) -> Invocation:
    message = HandlerMessage(Envelope("t", Route((), "a", ("b",)), {}))
    return Invocation(handler, message, events or Events(), HandlerThreads("test"))


async def test_a_payload_that_is_not_json_is_told_with_its_place() -> None:
    with pytest.raises(HandlerFailed) as caught:
        await invocation(lambda _payload: {"a": {1, 2}}).run({})
    assert str(caught.value.error) == "$.a: set is not a JSON value"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("function", "expected module.function"),
        ("no_such_module_at_all.f", "there is no module no_such_module_at_all"),
        ("tests.support.handlers.gone", "tests.support.handlers has no gone"),
        ("tests.support.handlers.Counter", "name its method"),
        ("tests.support.handlers.Counter.gone", "has no gone"),
        ("tests.support.handlers.NeedsArguments.run", "needs arguments"),
        ("tests.support.handlers.CALLS", "cannot be called"),
        ("tests.support.handlers.", "expected module.function"),
    ],
)
def test_a_handler_that_is_not_there_is_named(name: str, says: str) -> None:
    with pytest.raises(HandlerNotFound, match=says):
        load_handler(name)


def test_a_method_belongs_to_one_instance() -> None:
    handler = load_handler("tests.support.handlers.Counter.add")
    assert [handler({}), handler({})] == [{"count": 11}, {"count": 12}]


async def test_plain_functions_run_in_one_thread_that_is_not_the_loops() -> None:
    threads = HandlerThreads("one")
    seen = {await threads.run(threading.get_ident) for _ in range(5)}
    assert len(seen) == 1
    assert threading.get_ident() not in seen


async def test_calls_at_the_same_time_have_threads_of_their_own() -> None:
    threads = HandlerThreads("two")
    both = threading.Barrier(2, timeout=10)
    await asyncio.gather(threads.run(both.wait), threads.run(both.wait))


async def test_a_thread_whose_caller_left_is_lost_until_it_ends() -> None:
    threads, gate = HandlerThreads("lost"), threading.Event()
    waiting = asyncio.create_task(threads.run(gate.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert threads.lost == 1
    assert not await threads.quiet(0.01)
    gate.set()
    assert await threads.quiet(10)


async def test_a_function_that_returns_an_awaitable_or_a_generator_is_taken_for_what_it_returns() -> None:
    async def later(payload: Any) -> Any:
        return [payload]

    async def several(payload: Any) -> AsyncIterator[Any]:
        yield payload
        yield payload + 1

    assert [frame.payload for frame in await invocation(lambda payload: later(payload)).run(1)] == [[1]]
    assert [frame.payload for frame in await invocation(lambda payload: several(payload)).run(1)] == [1, 2]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_error_of_a_verb_is_raised_at_its_yield(asynchronous: bool) -> None:
    caught: list[str] = []

    def steps(payload: Any) -> Iterator[Any]:
        for verb in (("SET", ".id", 1), ("GET", ".none"), ("GET",), ("FLY", "text"), ("WHAT", 1), (), ("DEL", "x y")):
            try:
                yield verb
            except (PermissionError, KeyError, RuntimeError, TypeError, ValueError) as error:
                caught.append(type(error).__name__)
        yield payload

    async def steps_async(payload: Any) -> AsyncIterator[Any]:
        for verb in (("SET", ".id", 1), ("GET", ".none"), ("GET",), ("FLY", "text"), ("WHAT", 1), (), ("DEL", "x y")):
            try:
                yield verb
            except (PermissionError, KeyError, RuntimeError, TypeError, ValueError) as error:
                caught.append(type(error).__name__)
        yield payload

    frames = await invocation(steps_async if asynchronous else steps).run({"a": 1})
    assert [frame.payload for frame in frames] == [{"a": 1}]
    assert caught == [
        "PermissionError",
        "KeyError",
        "RuntimeError",
        "TypeError",
        "RuntimeError",
        "RuntimeError",
        "ValueError",
    ]


async def test_live_events_come_in_order_with_the_frames_beside_them() -> None:
    events = Events()

    def steps(payload: Any) -> Iterator[Any]:
        for number in range(3):
            yield "FLY", {"n": number}
            yield number

    frames = await invocation(steps, events).run(None)
    assert events.sent == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [frame.payload for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(1), SystemExit(2), KeyboardInterrupt()])
async def test_whatever_is_raised_is_the_handlers_failure(error: BaseException) -> None:
    def sync_one(payload: Any) -> Any:
        raise error

    async def async_one(payload: Any) -> Any:
        raise error

    with pytest.raises(HandlerFailed) as failed:
        await invocation(sync_one).run(1)
    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    assert isinstance(failed.value.error, expected)
    with pytest.raises(HandlerFailed) as failed:
        await invocation(async_one).run(1)
    assert isinstance(failed.value.error, expected)


class Unspeakable(ValueError):
    """Raises when it is asked what it says."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("no")


async def test_an_exception_that_raises_when_it_is_asked_is_the_handlers_failure_as_any_other() -> None:
    def speechless(payload: Any) -> Any:
        raise Unspeakable

    with pytest.raises(HandlerFailed) as failed:
        await invocation(speechless).run(1)
    assert isinstance(failed.value.error, Unspeakable)


async def test_a_handler_that_cancels_itself_has_failed() -> None:
    async def cancels(payload: Any) -> Any:
        raise asyncio.CancelledError

    with pytest.raises(HandlerFailed):
        await invocation(cancels).run(1)


async def test_a_generator_is_closed_when_it_is_given_up() -> None:
    closed, begun = threading.Event(), threading.Event()

    def endless(payload: Any) -> Iterator[Any]:
        try:
            while True:
                begun.set()
                yield
        finally:
            closed.set()

    running = asyncio.create_task(invocation(endless).run(1))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await asyncio.to_thread(closed.wait, 10)
