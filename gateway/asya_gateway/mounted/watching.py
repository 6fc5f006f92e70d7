"""A file that is read again when it changes. While it is broken, emptied or away, what it said last stays in force."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from asya_gateway.mounted.reading import NothingMounted, read_file, read_settled

log = logging.getLogger(__name__)

Value = TypeVar("Value")

MOST_BYTES = 4 * 1024 * 1024


class InvalidFile(Exception):
    """The file's content cannot be used. The message says where and what was expected, and quotes no secret."""


class WatchedFile(Generic[Value]):
    """One file and what it says. `decode` raises InvalidFile; it runs in a thread."""

    def __init__(
        self,
        what: str,
        path: str,
        decode: Callable[[bytes], Value],
        *,
        poll_interval: float,
        on_change: Callable[[Value], None] = lambda _: None,
    ) -> None:
        self._what = what
        self._path = Path(path)
        self._decode = decode
        self._poll_interval = poll_interval
        self._on_change = on_change
        self._read: bytes | None = None
        self._task: asyncio.Task[None] | None = None
        self.value: Value | None = None
        """What the last good content says; None if there was none yet."""
        self.problem: str | None = "not looked at yet"
        """Why the present content is not what is in force; None if it is."""

    async def start(self) -> None:
        """Read the file, and then again every `poll_interval` seconds."""
        await self.look()
        self._task = asyncio.create_task(self._look_for_ever(), name=self._what)

    async def stop(self) -> None:
        """Stop. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> bool:
        """Read the file once; returns whether it says something new. Never raises for what is in it."""
        try:
            text = await asyncio.to_thread(self._text)
            if text == self._read and self.problem is None:
                return False
            value = await asyncio.to_thread(self._decode, text)
        except (NothingMounted, InvalidFile) as error:
            self._note(str(error))
            return False
        changed = text != self._read
        self._read, self.value = text, value
        self._note(None)
        if changed:
            self._on_change(value)
        return changed

    def _text(self) -> bytes:
        text = read_settled(self._path, lambda path: read_file(path, MOST_BYTES), lambda text: text == self._read)
        if len(text) > MOST_BYTES:
            raise InvalidFile(f"expected at most {MOST_BYTES} bytes")
        return text

    def _note(self, problem: str | None) -> None:
        """Log each change once."""
        if problem == self.problem:
            return
        first, self.problem = self.value is None, problem
        if problem is None:
            log.info("%s %s: it is in force", self._what, self._path)
        else:
            kept = "nothing of it is in force" if first else "what it said before stays in force"
            log.warning("%s %s: %s; %s", self._what, self._path, problem, kept)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._poll_interval)
            try:
                await self.look()
            except Exception:
                # No error may stop the watching for the rest of the process's life.
                log.exception("%s %s cannot be read", self._what, self._path)
