"""Live events: bundled into numbered notifications, split if long, and reassembled. Nothing is stored."""

import asyncio
import contextlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from json.encoder import encode_basestring_ascii

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
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
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

    async def send(self, event: FlyEvent) -> None:
        """Send an event; returns after the notification is committed. Raises Overloaded, Unavailable."""
        line = json.dumps([event.task_id, event.name]) + "\t" + one_byte_a_character(event.payload)
        if self._waiting_bytes + len(line) > WAITING_BYTES:
            raise Overloaded("too many live events are waiting")
        weight = LINE_WEIGHT * len(line)
        # Charged beyond the request, whose caller may leave. Room for its body was granted before.
        self._budget.charge(Share.WRITES, weight)
        done = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda _: self._budget.give_back(Share.WRITES, weight))
        self._waiting.append((line, done))
        self._waiting_bytes += len(line)
        self._wake.set()
        await asyncio.shield(done)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(BUNDLE_FOR)
            lines, futures = self._take()
            try:
                await written_singly(partial(self._try, self._parts(lines)), 3.0, "fly")
                outcome: Exception | None = None
            except Unavailable as error:
                outcome = error
                # The database was unavailable for the whole patience of a bundle, so the events behind it fail too.
                futures += self._give_up_waiting()
            except Exception as error:  # noqa: BLE001 # e.g. a full notification queue: the sender may try again
                log.warning("fly: cannot send: %s", error)
                outcome = Unavailable("live events cannot be sent at the moment")
            self.sent += len(lines) if outcome is None else 0
            for future in futures:
                _settle(future, outcome)

    def _give_up_waiting(self) -> list[asyncio.Future[None]]:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._wake.clear()
        return [future for _, future in waiting]

    def _take(self) -> tuple[list[str], list[asyncio.Future[None]]]:
        size = count = 0
        for line, _ in self._waiting:
            if count and size + len(line) > BUNDLE_BYTES:
                break
            size += len(line)
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        if not self._waiting:
            self._wake.clear()
        return [line for line, _ in taken], [future for _, future in taken]

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

    async def _try(self, parts: Sequence[str]) -> None:
        await within(self._longest, self._notify(parts))

    async def _notify(self, parts: Sequence[str]) -> None:
        async with session_of(self._database.pool) as connection:
            await connection.execute(_NOTIFY, CHANNEL, parts)


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
    return encode_basestring_ascii(payload)[1:-1].replace("\\\\", "\\").replace('\\"', '"')


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
        self.deliver: Callable[[FlyEvent], None] = lambda _event: None

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
        for line in text.split("\n"):
            head, _, payload = line.partition("\t")
            # The rest of a message whose beginning was lost may be any text, even JSON of another shape.
            with contextlib.suppress(ValueError, TypeError):
                task_id, name = json.loads(head)
                self.deliver(FlyEvent(task_id, name, payload))
