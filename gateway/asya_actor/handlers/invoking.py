"""Calls a handler of any shape and collects the frames that it sends."""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, NoReturn, Protocol

from asya_actor.contract.message import Frame, HandlerMessage
from asya_actor.handlers.loading import Handler
from asya_actor.handlers.threads import HandlerThreads

_ARITY = {"GET": (2, "a path"), "SET": (3, "a path and a value"), "DEL": (2, "a path"), "FLY": (2, "a dict")}

_FOR_THE_HANDLER = (PermissionError, LookupError, TypeError, ValueError, RuntimeError)
"""Errors of a verb that are thrown into the generator at its `yield`."""


class LiveEvents(Protocol):
    """The destination of FLY events. Raises TypeError or ValueError for values that cannot be sent."""

    async def put(self, event: dict[str, Any]) -> None:
        """Send an event from the event loop."""

    def put_from_thread(self, event: dict[str, Any]) -> None:
        """Send an event from a handler's thread; may block briefly."""


class HandlerFailed(Exception):
    """The handler raised `error`."""

    def __init__(self, error: BaseException) -> None:
        # Without the message: reading it runs the user's code, which may raise (failures.describe handles that).
        super().__init__(type(error))
        self.error = error


class Invocation:
    """One call. `frames` are its frames: empty if the handler returned None or yielded nothing."""

    def __init__(self, handler: Handler, message: HandlerMessage, live: LiveEvents, threads: HandlerThreads) -> None:
        self._handler = handler
        self._message = message
        self._live = live
        self._threads = threads
        self._given_up = threading.Event()
        self.in_thread = False
        """Whether the handler is running in a thread, which cannot be stopped."""
        self.frames: list[Frame] = []

    async def run(self, payload: Any) -> list[Frame]:
        """Run the call; returns the frames. Raises HandlerFailed. On cancellation, async handlers are cancelled too,
        and a sync generator ends at its next yield, but a plain function continues in its thread."""
        try:
            await self._run(payload)
        except asyncio.CancelledError as error:
            self._given_up.set()
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise HandlerFailed(error) from error  # raised by the handler itself
        except BaseException as error:
            # Also SystemExit and KeyboardInterrupt: a handler must not end the worker with an exception.
            raise HandlerFailed(error) from error
        return self.frames

    async def _run(self, payload: Any) -> None:
        if inspect.iscoroutinefunction(self._handler) or inspect.isasyncgenfunction(self._handler):
            outcome = self._handler(payload)
        else:
            self.in_thread = True
            outcome = await self._threads.run(lambda: self._call(payload))
            self.in_thread = False
        if inspect.isasyncgen(outcome):
            await self._drive_async(outcome)
        elif inspect.isawaitable(outcome):
            self._returned(await _result(outcome))

    def _call(self, payload: Any) -> Any:
        """Runs in a thread: calls the handler and iterates a generator. Returns an awaitable or async generator that
        must continue in the event loop."""
        outcome = self._handler(payload)
        if inspect.isgenerator(outcome):
            self._drive(outcome)
            return None
        if inspect.isasyncgen(outcome) or inspect.isawaitable(outcome):
            return outcome
        self._returned(outcome)
        return None

    def _returned(self, payload: Any) -> None:
        if payload is not None:
            self.frames.append(self._message.frame(payload))

    def _drive(self, generator: Generator[Any, Any, Any]) -> None:
        resume: Callable[[], Any] = lambda: next(generator)  # noqa: E731
        try:
            while True:
                try:
                    yielded = resume()
                except StopIteration:
                    return
                if self._given_up.is_set():
                    return
                try:
                    answer = self._take(yielded, self._live.put_from_thread)
                except _FOR_THE_HANDLER as error:
                    resume = _thrower(generator.throw, error)
                else:
                    resume = _sender(generator.send, answer)
        finally:
            generator.close()

    async def _drive_async(self, generator: AsyncGenerator[Any, Any]) -> None:
        resume: Callable[[], Awaitable[Any]] = lambda: anext(generator)  # noqa: E731
        try:
            while True:
                try:
                    yielded = await resume()
                except StopAsyncIteration:
                    return
                events: list[dict[str, Any]] = []
                try:
                    answer = self._take(yielded, events.append)
                    for event in events:
                        await self._live.put(event)
                except _FOR_THE_HANDLER as error:
                    resume = _thrower(generator.athrow, error)
                else:
                    resume = _sender(generator.asend, answer)
        finally:
            await generator.aclose()

    def _take(self, yielded: Any, fly: Callable[[dict[str, Any]], None]) -> Any:
        """Process a yielded value: a verb (a tuple), a payload, or nothing. Returns the value of the `yield`
        expression."""
        if yielded is None:
            return None
        if not isinstance(yielded, tuple):
            self.frames.append(self._message.frame(yielded))
            return None
        match yielded:
            case ("GET", path):
                return self._message.get(path)
            case ("SET", path, value):
                self._message.set(path, value)
            case ("DEL", path):
                self._message.delete(path)
            case ("FLY", event):
                if not isinstance(event, dict):
                    raise TypeError(f"FLY: expected a dict, got {type(event).__name__}")
                fly(event)
            case _:
                _refuse(yielded)
        return None


def _refuse(yielded: tuple[Any, ...]) -> NoReturn:
    verb = yielded[0] if yielded else None
    if isinstance(verb, str) and verb in _ARITY:
        raise RuntimeError(f'expected `yield "{verb}", …` with {_ARITY[verb][1]}, got {len(yielded) - 1} values')
    raise RuntimeError(
        f"unknown verb {verb!r}: a yielded tuple is a verb (GET, SET, DEL or "
        "FLY); convert a payload that is a tuple to a list"
    )


def _thrower(throw: Callable[[BaseException], Any], error: BaseException) -> Callable[[], Any]:
    return lambda: throw(error)


def _sender(send: Callable[[Any], Any], value: Any) -> Callable[[], Any]:
    return lambda: send(value)


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
