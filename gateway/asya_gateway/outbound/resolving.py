"""Looks up host names in threads of its own, a few at a time for each party."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from asya_transports.bounded import shielded

_THREADS = 8
KEPT = 10.0
"""Seconds that a found name is not looked up again."""
MOST_KEPT = 1024


@dataclass(slots=True)
class Lookups:
    """The lookups of one request, for a party. `waiting`: whether one of them has not ended."""

    party: str = ""
    waiting: bool = False


_LOOKUPS: ContextVar[Lookups | None] = ContextVar("outbound lookups", default=None)


@contextmanager
def looked_up_for(party: str) -> Iterator[Lookups]:
    """Names that are looked up within are those of this party; "" is the gateway itself."""
    lookups = Lookups(party)
    token = _LOOKUPS.set(lookups)
    try:
        yield lookups
    finally:
        _LOOKUPS.reset(token)


@dataclass(slots=True)
class _Turns:
    """The lookups of one party: those that are done or waited for, and the places for them."""

    places: asyncio.Semaphore
    users: int = 0


class Resolver(AbstractResolver):
    """The system's resolver. A name server can hold a lookup for many seconds, and a thread cannot be cancelled, so
    lookups of strangers' names must not occupy the threads that the rest of the process uses, nor those of one party
    all of these. Further ones wait, the party's own behind one another. A lookup keeps its place until its thread is
    free, also when nobody waits for it any more.

    Names that were found are kept for a moment. Lookups that are under way are not shared: nobody waits behind another
    party for the same name (so aiohttp's cache, which shares them, must be off)."""

    def __init__(self, threads: int = _THREADS, per_party: int | None = None) -> None:
        """`per_party`: most threads that a party has at once, except the gateway itself; None: all of them."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="outbound-dns")
        self._places = asyncio.Semaphore(threads)
        self._all, self._per_party = threads, per_party or threads
        self._turns: dict[str, _Turns] = {}
        self._found: OrderedDict[tuple[str, int, socket.AddressFamily], tuple[float, list[ResolveResult]]]
        self._found = OrderedDict()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        lookups = _LOOKUPS.get() or Lookups()
        name, now = (host, port, family), asyncio.get_running_loop().time()
        until, known = self._found.get(name, (0.0, []))
        if now < until:
            return list(known)
        lookups.waiting = True
        try:
            found = await self._looked_up(host, port, family, lookups.party)
        except OSError:
            lookups.waiting = False
            raise
        lookups.waiting = False
        self._found[name] = now + KEPT, found
        self._found.move_to_end(name)
        if len(self._found) > MOST_KEPT:
            self._found.popitem(last=False)
        return list(found)

    async def _looked_up(self, host: str, port: int, family: socket.AddressFamily, party: str) -> list[ResolveResult]:
        give_back = await self._place(party)
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        except BaseException:
            give_back()
            raise
        looking.add_done_callback(lambda _: give_back())
        found = await shielded(looking)
        if not found:
            raise OSError(None, "no address")
        return found

    @override
    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _place(self, party: str) -> Callable[[], None]:
        """Wait for a place of the party, and for a thread. Returns what gives both back."""
        turns = self._turns.get(party)
        if turns is None:
            places = asyncio.Semaphore(self._per_party if party else self._all)
            turns = self._turns[party] = _Turns(places)
        turns.users += 1
        try:
            await turns.places.acquire()
            try:
                await self._places.acquire()
            except BaseException:
                turns.places.release()
                raise
        except BaseException:
            self._left(party, turns)
            raise

        def give_back() -> None:
            self._places.release()
            turns.places.release()
            self._left(party, turns)

        return give_back

    def _left(self, party: str, turns: _Turns) -> None:
        turns.users -= 1
        if not turns.users:
            del self._turns[party]


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found: list[ResolveResult] = []
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    for kind, _, proto, _, where in infos:
        # A scope belongs to link-local addresses, which are never reached.
        found.append(
            ResolveResult(
                hostname=host,
                host=str(where[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
        )
    return found
