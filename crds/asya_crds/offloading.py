"""Runs work that would block the event loop in another process.

Decoding, encoding and checking JSON is C and Rust code that holds the interpreter's lock, so a thread would not help:
the event loop would be blocked all the same. Results are sent in `marshal` format, which is read ten times as fast as
JSON.

The process starts when it is first needed, runs one function at a time, and ends after some time without work or when
its parent is gone. It raises its own OOM score, so that the kernel kills it before its parent when memory runs out.
"""

import asyncio
import contextlib
import importlib
import marshal
import sys
from collections.abc import Callable
from typing import Any

from asya_crds.standstill import Standstill

SECONDS = 30.0
"""Time limit of one function, after which the process is ended. Decoding takes at most a second of a core; checking a
million values may take many."""
STILL = 2.0
"""Seconds that the process may make no progress, after which it is ended and the function is tried again."""
IDLE = 60.0
"""Seconds without work after which the process ends and returns its memory."""
WAITING = 32
"""Most callers that may wait for their turn."""
TRIES = 3
"""How often `insist` tries before it gives up."""
HEAD = 8
"""Bytes of the length prefix."""


class OffloadFailed(Exception):
    """The other process could not run the function now. The text says why; trying again may help."""


class Offload:
    """One other process. Concurrent calls of `run` take turns."""

    def __init__(
        self, *, seconds: float = SECONDS, still: float = STILL, idle: float = IDLE, waiting: int = WAITING
    ) -> None:
        self._seconds, self._still, self._idle, self._most = seconds, still, idle, waiting
        self._turn, self._line = asyncio.Lock(), asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self, function: str, *arguments: Any) -> Any:
        """What `function` ("package.module:name") returns; arguments and result are plain values, text and bytes.

        Raises ValueError with the function's text if the function raises it, OffloadFailed if the process cannot be
        started, takes too long or fails.
        """
        if self._waiting >= self._most:
            raise OffloadFailed("too many large documents are waiting")
        self._waiting += 1
        try:
            async with self._line:
                return await self._run(function, arguments)
        finally:
            self._waiting -= 1

    async def _run(self, function: str, arguments: tuple[Any, ...]) -> Any:
        """Tries once more if the process ended, perhaps while idle, for example because the kernel killed it for its
        memory."""
        try:
            return await self._in_turn(function, arguments)
        except OffloadFailed as error:
            if not isinstance(error.__cause__, OSError | EOFError):
                raise
        return await self._in_turn(function, arguments)

    async def insist(self, function: str, *arguments: Any) -> Any:
        """Like `run`, for work that must not be refused: it waits for its turn however many callers wait, behind at
        most one call of `run`, and tries again."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(OffloadFailed):
                return await self._in_turn(function, arguments)
        return await self._in_turn(function, arguments)

    async def _in_turn(self, function: str, arguments: tuple[Any, ...]) -> Any:
        async with self._turn:
            return _result(await self._exchange(marshal.dumps((function, arguments))))

    async def close(self) -> None:
        """End the process."""
        self._stop_timer()
        if self._ending is not None:
            await self._ending
        async with self._turn:
            await self._end()

    async def _exchange(self, request: bytes) -> bytes | bytearray:
        self._stop_timer()
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._asked(await self._started(), request)
        except BaseException as error:
            # Whatever the error, even a caller that left: an unread answer would go to the next caller.
            await self._end()
            match error:
                case TimeoutError():
                    raise OffloadFailed(f"it took longer than {self._seconds:g} s") from None
                case OSError() | EOFError():
                    raise OffloadFailed("the process ended") from error
                case _:
                    raise
        self._timer = asyncio.get_running_loop().call_later(self._idle, self._no_longer_needed)
        return answer

    async def _asked(self, process: asyncio.subprocess.Process, request: bytes) -> bytearray:
        assert process.stdin is not None
        assert process.stdout is not None
        sending, answer = process.stdin.transport, bytearray()
        standstill = Standstill(
            process.pid,
            self._still,
            lambda: _kill(process),
            lambda: (sending.get_write_buffer_size(), len(answer)),
        )
        try:
            process.stdin.write(len(request).to_bytes(HEAD))
            process.stdin.write(request)
            await process.stdin.drain()
            size = int.from_bytes(await process.stdout.readexactly(HEAD))
            while len(answer) < size:
                part = await process.stdout.read(size - len(answer))
                if not part:
                    raise EOFError
                answer += part
            return answer
        finally:
            standstill.stop()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "asya_crds.offloading_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._process

    def _no_longer_needed(self) -> None:
        async def end() -> None:
            async with self._turn:
                # A caller that came in the meantime may have set another timer.
                if self._timer is None:
                    await self._end()

        self._timer = None
        self._ending = asyncio.get_running_loop().create_task(end(), name="offload-end")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def function_named(name: str) -> Callable[..., Any]:
    """The function of "package.module:name"."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _result(answer: bytes | bytearray) -> Any:
    kind, value = marshal.loads(answer)  # noqa: S302 # nosec B302 # written by our own process
    match kind:
        case "returned":
            return value
        case "refused":
            raise ValueError(value)
        case _:
            raise OffloadFailed(value)
