"""Live events: bundled into numbered notifications, split if long, and reassembled. Nothing is stored.

Before its events, a bundle names for each of its tasks the last update that is stored. A reader holds events back until
it has that update, so it never sees a live event before an update that was acknowledged before the event was sent. The
two take different ways to the reader, and without this the faster one would be first.
"""

import asyncio
import contextlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from asya_crds import jsontext
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.domain.task import FlyEvent
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.log.bell import LONGEST_PAYLOAD, Bell
from asya_gateway.storage.retrying import within, written_singly
from asya_transports.postgres.sessions import session_of

log = logging.getLogger(__name__)

CHANNEL = "asya_fly"
BUNDLE_FOR = 0.003
"""Seconds for which events are collected before they are sent. A NOTIFY costs per listener, not per event."""
BUNDLE_BYTES = 2 * 1024 * 1024
WAITING_BYTES = 32 * 1024 * 1024
LINE_WEIGHT = 3
"""Weight of an event per byte of its line: the line, the parts of notifications, and the driver's copy."""
SENDERS_KEPT = 256
"""Most senders whose numbers are remembered. Beyond it, the one silent for longest is forgotten."""


class FlySender:
    """Collects events for a few milliseconds and sends them in one transaction, in order. An attempt takes at most
    `longest` seconds."""

    def __init__(self, database: Database, longest: float, budget: Budget) -> None:
        self._budget = budget
        self._database = database
        self._longest = longest
        self._sender = os.urandom(6).hex()
        self._number = 0
        self._waiting: list[_Sending] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sent = 0

    async def start(self) -> None:
        """Start sending."""
        self._task = asyncio.create_task(self._run(), name="fly sender")

    async def stop(self) -> None:
        """Stop sending."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, events: Sequence[FlyEvent]) -> None:
        """Send events in order; returns after all are committed. Raises Overloaded, Unavailable."""
        lines = [_head(event.task_id, event.name) + one_byte_a_character(event.payload) for event in events]
        size = sum(map(len, lines))
        if self._waiting_bytes + size > WAITING_BYTES:
            raise Overloaded("too many live events are waiting")
        # Charged beyond the request, whose caller may leave. Room for its body was granted before.
        self._budget.charge(Share.WRITES, LINE_WEIGHT * size)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Sending(lines, size, done, {event.task_id for event in events}))
        self._waiting_bytes += size
        self._wake.set()
        await done

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(BUNDLE_FOR)
            taken = self._take()
            bundle = _Bundle([line for sending in taken for line in sending.lines])
            bundle.task_ids.update(*(sending.task_ids for sending in taken))
            try:
                await written_singly(partial(self._try, bundle), 3.0, "fly")
                outcome: Exception | None = None
            except Unavailable as error:
                outcome = error
                # The database was unavailable for the whole patience of a bundle, so the events behind it fail too.
                taken += self._give_up_waiting()
            except Exception as error:  # noqa: BLE001 # e.g. a full notification queue: the sender may try again
                log.warning("fly: cannot send: %s", error)
                outcome = Unavailable("live events cannot be sent at the moment")
            self.sent += len(bundle.lines) if outcome is None else 0
            self._budget.give_back(Share.WRITES, LINE_WEIGHT * sum(sending.size for sending in taken))
            for sending in taken:
                _settle(sending.done, outcome)

    def _give_up_waiting(self) -> "list[_Sending]":
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._wake.clear()
        return waiting

    def _take(self) -> "list[_Sending]":
        size = count = 0
        for sending in self._waiting:
            if count and size + sending.size > BUNDLE_BYTES:
                break
            size += sending.size
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        if not self._waiting:
            self._wake.clear()
        return taken

    def _parts(self, lines: Sequence[str]) -> list[str]:
        """The notifications of a bundle: `sender number more text`. They are numbered because PostgreSQL merges equal
        ones."""
        parts: list[str] = []
        for text in _bundled(lines):
            pieces = [text[start : start + _ROOM] for start in range(0, len(text), _ROOM)]
            for index, piece in enumerate(pieces):
                self._number += 1
                parts.append(f"{self._sender} {self._number} {int(index < len(pieces) - 1)} {piece}")
        return parts

    async def _try(self, bundle: "_Bundle") -> None:
        await within(self._longest, self._notify(bundle))

    async def _notify(self, bundle: "_Bundle") -> None:
        async with session_of(self._database.pool) as connection:
            if not bundle.parts:
                stored = await connection.fetch(_STORED, list(bundle.task_ids))
                bundle.parts = self._parts([_after(dict(stored)), *bundle.lines])
            await connection.execute(_NOTIFY, CHANNEL, bundle.parts)


class _Sending(NamedTuple):
    """The events of one request. A caller that leaves cancels `done`; its events are sent nevertheless."""

    lines: list[str]
    size: int
    done: asyncio.Future[None]
    task_ids: set[str]


@dataclass(slots=True)
class _Bundle:
    """What is sent in one transaction. Its notifications are made once and keep their numbers when they are sent
    again."""

    lines: list[str]
    task_ids: set[str] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)


@lru_cache(maxsize=256)
def _head(task_id: str, name: str) -> str:
    """The beginning of a line. Cached, because a task sends many events."""
    return jsontext.canonical([task_id, name]) + "\t"


def _after(stored: Mapping[str, int]) -> str:
    """The line that names the last stored update of each task. A process of the previous version takes it for an
    unreadable line, which it skips."""
    return jsontext.canonical([stored]) + "\t"


_STORED = "SELECT id, last_seq FROM tasks WHERE id = ANY($1)"
_ROOM = LONGEST_PAYLOAD - 40
_NOTIFY = f"""
SELECT {UNHURRIED}, pg_notify($1, part) FROM unnest($2::text[]) WITH ORDINALITY AS p(part, n) ORDER BY n
"""


def one_byte_a_character(payload: str) -> str:
    """JSON text with one byte for each character, so that it can be split anywhere. The text is not decoded, because a
    payload may hold hundreds of thousands of values."""
    if payload.isascii():
        return payload
    # Encoded like the content of a string; the additional escapes of backslashes and quotes are then removed.
    return jsontext.ascii_quoted(payload)[1:-1].replace("\\\\", "\\").replace('\\"', '"')


def _bundled(lines: Sequence[str]) -> list[str]:
    """Lines joined as long as they fit into one notification. A longer line is not joined, and is split later."""
    bundles: list[str] = []
    current = ""
    for line in lines:
        if current and len(current) + 1 + len(line) > _ROOM:
            bundles.append(current)
            current = line
        else:
            current = f"{current}\n{line}" if current else line
    return [*bundles, current] if current else bundles


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()


class FlyReceiver:
    """Listens while this process has readers, and reassembles split notifications."""

    def __init__(self, bell: Bell, budget: Budget) -> None:
        self._bell = bell
        self._budget = budget
        self._readers = 0
        self._unsubscribe: Callable[[], None] | None = None
        self._ready = False
        self._senders: OrderedDict[str, tuple[int, list[str]]] = OrderedDict()
        self.deliver: Callable[[str, Sequence[FlyEvent]], None] = lambda _task_id, _events: None
        self.hold_until: Callable[[str, int], None] = lambda _task_id, _seq: None
        """Called before the events of a task with the seq of the update that readers must have before them."""

    async def add_reader(self) -> None:
        """Listen before the first reader takes its snapshot."""
        self._readers += 1
        if self._unsubscribe is None:
            self._unsubscribe = self._bell.subscribe(CHANNEL, self._heard)
        if not self._ready:
            self._ready = await self._bell.attended(CHANNEL)

    def remove_reader(self) -> None:
        """Stop listening with the last reader."""
        self._readers -= 1
        if self._readers == 0 and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._ready = False
            # The rest of them is not heard.
            for _, pieces in self._senders.values():
                self._drop(pieces)

    def _heard(self, notification: str) -> None:
        """Take the next part of a sender. A repeated part (the sender did not know whether it was committed) is
        dropped, and so is a message with a missing part."""
        sender, number_text, more, piece = notification.split(" ", 3)
        number = int(number_text)
        last, pieces = self._senders.pop(sender, (number - 1, []))
        self._senders[sender] = (max(number, last), pieces)
        if number <= last:
            return
        if number != last + 1:
            self._drop(pieces)
        if self._budget.try_take(Share.WAITING, len(piece)):
            pieces.append(piece)
        else:
            # Live events are the first to be dropped. The rest of this one is incomplete.
            self._drop(pieces)
        if more == "0":
            text = "".join(pieces)
            self._drop(pieces)
            self._deliver(text)
        while len(self._senders) > SENDERS_KEPT:
            _, (_, forgotten) = self._senders.popitem(last=False)
            self._drop(forgotten)

    def _drop(self, pieces: list[str]) -> None:
        self._budget.give_back(Share.WAITING, sum(map(len, pieces)))
        pieces.clear()

    def _deliver(self, text: str) -> None:
        """Deliver the events of a notification, with one call for those of one task that come in a row."""
        lines = (line.partition("\t") for line in text.split("\n"))
        for head, same in groupby(lines, key=itemgetter(0)):
            # The rest of a message whose beginning was lost may be any text, even JSON of another shape.
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                named = jsontext.loads(head)
                if len(named) == 1:
                    for task_id, seq in named[0].items():
                        self.hold_until(task_id, int(seq))
                    continue
                task_id, name = named
                self.deliver(task_id, [FlyEvent(task_id, name, payload) for _, _, payload in same])
