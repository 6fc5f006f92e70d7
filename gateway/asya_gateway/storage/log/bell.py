"""The bell between processes: LISTEN/NOTIFY on a dedicated connection. Everything it announces is also polled."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from typing import Any

import asyncpg

from asya_gateway.storage.database import UNHURRIED, Database
from asya_transports.postgres.sessions import probe

log = logging.getLogger(__name__)

LONGEST_PAYLOAD = 7900
"""Most bytes of one notification; PostgreSQL refuses 8,000."""

PROBE_EVERY = 5.0
"""Seconds between two probes of the listening connection. A listener that no longer reads lets the notification queue
of the whole server fill up, so a connection that does not answer is replaced."""

RING_APART = 0.005
"""Seconds from a busy bell's ring to the next one, so that rings are combined: each costs a statement and makes every
listener read the log."""
SLOW = 0.02
"""Seconds from which on a ring is slow. PostgreSQL wakes every listener in turn for each, and lets one session after
the other do that: with hundreds of pods a ring takes tens of milliseconds."""
LONGEST_APART = 0.5
"""Slow rings begin as far apart as the last one took, at most so many seconds: a process rings in about one session at
a time, its others are free for tasks, and what is rung meanwhile goes together."""
BUSY = 8
"""Ids of a ring from which on a bell is busy. A quiet one rings at once, also while an earlier ring is under way."""
RINGS = 4
"""Most rings that are under way at a time."""

_RING = f"""
SELECT {UNHURRIED}, count(pg_notify(channel, payload)) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)
"""

_TROUBLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Callback = Callable[[str], None]


class Bell:
    """Listens and rings. A failing bell never fails a request: every waiting reader also polls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callbacks: dict[str, list[Callback]] = defaultdict(list)
        self._on_connect: list[Callable[[], None]] = []
        self._listens: set[str] = set()
        self._rung: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._planned = False
        """Whether a ring is about to take everything that was rung."""
        self._resting = False
        self._unhurried: set[tuple[str, str]] = set()
        """Channels and marks of rings that nobody waits for."""
        self._patient: asyncio.TimerHandle | None = None
        """Until then, what is rung unhurried waits for something else to go with."""
        self._under_way = 0
        self._slow = 0.0
        """Seconds that the last ring took, if it was slow."""
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._first = asyncio.Event()
        """Set with the first connection, or the first one that failed."""
        self.connects = 0

    @property
    def connected(self) -> bool:
        """Whether the listening connection is open."""
        return self._connection is not None and not self._connection.is_closed()

    async def start(self) -> None:
        """Begin to listen and to ring. Returns at once, even if the database is not available."""
        self._listening = asyncio.create_task(self._listen_for_ever(), name="bell listen")
        self._plan()

    async def stop(self) -> None:
        """Stop listening and close the connection."""
        listening, self._listening = self._listening, None
        tasks = [*self._errands] if listening is None else [listening, *self._errands]
        for task in tasks:
            task.cancel()
        if self._patient is not None:
            self._patient.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._drop()

    def subscribe(self, channel: str, callback: Callback) -> Callable[[], None]:
        """Call back with the payload of every notification; the returned function unsubscribes.

        This process listens to a channel as long as it has subscribers.
        """
        self._callbacks[channel].append(callback)
        if len(self._callbacks[channel]) == 1:
            self._errand(self._attend(channel))
        return lambda: self._unsubscribe(channel, callback)

    def _unsubscribe(self, channel: str, callback: Callback) -> None:
        with contextlib.suppress(ValueError):
            self._callbacks[channel].remove(callback)
        if not self._callbacks[channel]:
            self._errand(self._attend(channel))

    def on_connect(self, callback: Callable[[], None]) -> None:
        """Call back after each connect: notifications may have been missed, so everything must be read once."""
        self._on_connect.append(callback)

    def ring(self, channel: str, ids: Iterable[str], mark: str = "", *, unhurried: bool = False) -> None:
        """Notify every listening process. Rings are combined, and errors never reach the caller. With a `mark`, the
        first line of the payload is it; it must be no id. If nobody waits for what is rung with that mark, it is
        `unhurried`: it may wait RING_APART after the one before it, unless something else is rung."""
        self._rung[channel, mark].update(dict.fromkeys(ids))
        if unhurried:
            self._unhurried.add((channel, mark))
        self._plan()

    def listens(self, channel: str) -> bool:
        """Whether the connection that is open now listens to this channel."""
        return channel in self._listens

    async def attended(self, channel: str, wait: float = 2.0) -> bool:
        """Wait until the process listens to a channel that has subscribers; False if it cannot now. Directly after the
        start, it waits for the first connection."""
        try:
            async with asyncio.timeout(wait):
                await self._first.wait()
                await self._attend(channel)
        except TimeoutError:
            return False
        return self.connected

    async def round_trip(self, wait: float = 2.0) -> bool:
        """Wait until every notification committed before this call has reached its callbacks; False if the connection
        did not answer in time."""
        try:
            async with asyncio.timeout(wait), self._lock:
                if self._connection is None:
                    return False
                await probe(self._connection)
        except _TROUBLE:
            return False
        # The driver schedules notifications on the event loop before the answer.
        await asyncio.sleep(0)
        return True

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, context=Context())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _attend(self, channel: str) -> None:
        """Listen to the channel if it has subscribers, else stop listening."""
        with contextlib.suppress(*_TROUBLE):
            async with self._lock:
                connection = self._connection
                if connection is None:
                    return
                if self._callbacks[channel]:
                    await connection.add_listener(channel, self._heard)
                    self._listens.add(channel)
                else:
                    self._listens.discard(channel)
                    await connection.remove_listener(channel, self._heard)

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        for callback in tuple(self._callbacks[channel]):
            callback(str(payload))

    async def _listen_for_ever(self) -> None:
        pause = 0.05
        while True:
            try:
                lost = await self._connect()
                pause = 0.05
                await self._probe_until(lost)
                log.warning("bell: the listening connection was lost")
            except _TROUBLE as error:
                log.warning("bell: cannot listen: %r", error)
            self._first.set()
            self._drop()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _connect(self) -> asyncio.Event:
        """Connect, listen to every channel with subscribers, then have everything read once."""
        sessions = self._database.sessions(application_name="asya bell")
        connection = await sessions.connect(command_timeout=PROBE_EVERY)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        async with self._lock:
            self._connection = connection
            for channel, callbacks in tuple(self._callbacks.items()):
                if callbacks:
                    await connection.add_listener(channel, self._heard)
                    self._listens.add(channel)
        self.connects += 1
        self._first.set()
        for callback in tuple(self._on_connect):
            callback()
        return lost

    async def _probe_until(self, lost: asyncio.Event) -> None:
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_EVERY):
                    await lost.wait()
            if not await self.round_trip(PROBE_EVERY):
                return

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._listens.clear()
        if connection is not None:
            connection.terminate()

    def _plan(self) -> None:
        """Ring in the next turn of the event loop, before whoever was waiting for the same write goes on."""
        if not self._rung or self._planned or self._resting or self._under_way >= RINGS or not self._listening:
            return
        if self._patient is not None and self._unhurried.issuperset(self._rung):
            return
        self._planned = True
        self._errand(self._ring())

    async def _ring(self) -> None:
        rung, self._rung, self._planned = self._rung, defaultdict(dict), False
        self._under_way += 1
        if self._slow or sum(map(len, rung.values())) >= BUSY:
            self._resting = True
            self._errand(self._rest())
        if self._patient is None and not self._unhurried.isdisjoint(rung):
            self._patient = asyncio.get_running_loop().call_later(RING_APART, self._patience_ends, context=Context())
        channels, payloads = [], []
        for (channel, mark), ids in rung.items():
            for payload in _packed(ids, mark):
                channels.append(channel)
                payloads.append(payload)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            if payloads:
                await self._database.execute(_RING, channels, payloads)
        except Exception as error:  # noqa: BLE001 # whatever it is, the polls bring the news
            log.warning("bell: cannot ring: %s", error)
        finally:
            self._under_way -= 1
            took = loop.time() - began
            self._slow = 0.0 if took < SLOW else min(took, LONGEST_APART)
            self._plan()

    def _patience_ends(self) -> None:
        self._patient = None
        self._plan()

    async def _rest(self) -> None:
        await asyncio.sleep(max(RING_APART, self._slow))
        self._resting = False
        self._plan()


def _packed(ids: Iterable[str], mark: str) -> list[str]:
    """Ids joined by newlines, into as few payloads as the limit allows (an id has no control characters)."""
    payloads: list[str] = []
    head = [mark] if mark else []
    longest = LONGEST_PAYLOAD - len(mark.encode())
    current: list[str] = []
    size = 0
    for each in ids:
        weight = len(each.encode()) + 1
        if current and size + weight > longest:
            payloads.append("\n".join([*head, *current]))
            current, size = [], 0
        current.append(each)
        size += weight
    if current:
        payloads.append("\n".join([*head, *current]))
    return payloads
