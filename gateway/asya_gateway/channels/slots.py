"""How much is leased and sent at once: to a host, for an owner, and in all."""

import asyncio
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from asya_gateway.domain.destinations import DeliveryCapacity, Destination, Lagging

AT_ONCE = 8
"""Deliveries under way to one host; also what is leased for a host that has not answered well yet."""
LEASED_PER_HOST = 256
LEASED_PER_OWNER = 512
LEASED = 1_024
"""Most that is leased: what is under way, and what waits for that, so that a host that answers never waits for the
database."""
MOST_REMEMBERED = 512
"""Most hosts that are remembered as failing."""
EVERY_HOST = ""
LONGEST_TURN = 5.0
"""Seconds after which what waits for its turn is given back, so that no lease runs out here."""


class DeliverySlots:
    """Counts what is leased, by host and owner, and gives turns. A host that failed last gets one delivery at a time
    until it succeeds, so that it takes no places from those that answer."""

    def __init__(self) -> None:
        self._hosts: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        self._failing: OrderedDict[str, None] = OrderedDict()
        self._well: set[str] = set()
        self._more: set[str] = set()
        """Hosts of which something may have been left behind."""
        self._active: Counter[str] = Counter()
        self._lines: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self.leased = 0

    @property
    def free(self) -> int:
        """How much may be leased now."""
        return LEASED - self.leased

    @property
    def busy(self) -> DeliveryCapacity:
        """What is left for hosts and owners that have some already, or may have less than others."""
        hosts = {host: self._limit(host) - self._hosts[host] for host in {*self._hosts, *self._failing}}
        return DeliveryCapacity(hosts, {owner: LEASED_PER_OWNER - count for owner, count in self._owners.items()})

    def take(self, lagging: Sequence[Lagging], busy: DeliveryCapacity, most: int) -> None:
        """These were leased, when so much was asked for. Where all that was asked for is there, there may be more."""
        hosts = Counter(each.destination.host for each in lagging)
        owners = Counter(each.destination.owner for each in lagging)
        self._hosts += hosts
        self._owners += owners
        self.leased += len(lagging)
        if len(lagging) >= most:
            self._more.add(EVERY_HOST)
        full = {owner for owner, count in owners.items() if count >= busy.owners.get(owner, LEASED_PER_OWNER)}
        self._more |= {host for host, count in hosts.items() if count >= busy.hosts.get(host, AT_ONCE)}
        self._more |= {each.destination.host for each in lagging if each.destination.owner in full}

    def left_behind(self) -> None:
        """Nothing could be leased, because too much is."""
        self._more.add(EVERY_HOST)

    def give_back(self, at: Destination) -> bool:
        """One has ended. Returns whether it is time to lease what was left behind."""
        for counter, key in ((self._hosts, at.host), (self._owners, at.owner)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        self.leased -= 1
        if at.host not in self._hosts:
            self._well.discard(at.host)
        if at.host in self._more and self._hosts[at.host] <= self._limit(at.host) // 2:
            self._more.discard(at.host)
            return True
        if EVERY_HOST in self._more and self.leased <= LEASED // 2:
            self._more.discard(EVERY_HOST)
            return True
        return False

    def answered(self, host: str, *, well: bool) -> None:
        """How a host has answered last."""
        if well:
            self._failing.pop(host, None)
            if host in self._hosts:
                self._well.add(host)
            self._call(host)
            return
        self._well.discard(host)
        self._failing[host] = None
        self._failing.move_to_end(host)
        if len(self._failing) > MOST_REMEMBERED:
            self._failing.popitem(last=False)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncGenerator[bool]:
        """Wait for the turn to send to a host, in the order of arrival; False if it does not come soon enough."""
        if not await self._granted(host):
            yield False
            return
        try:
            yield True
        finally:
            self._active[host] -= 1
            self._call(host)

    async def _granted(self, host: str) -> bool:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines[host].append(mine)
        self._call(host)
        if mine.done():
            return True
        try:
            async with asyncio.timeout(LONGEST_TURN):
                await mine
        except TimeoutError:
            # The turn may have come in the same moment.
            return mine.done() and not mine.cancelled()
        return True

    def _call(self, host: str) -> None:
        """Let those go on for whom there is a turn now."""
        line = self._lines[host]
        while line and (line[0].done() or self._active[host] < self._at_once(host)):
            waiting = line.popleft()
            if not waiting.done():
                self._active[host] += 1
                waiting.set_result(None)
        if not line:
            del self._lines[host]
        if not self._active[host]:
            del self._active[host]

    def _at_once(self, host: str) -> int:
        return 1 if host in self._failing else AT_ONCE

    def _limit(self, host: str) -> int:
        if host in self._failing:
            return 1
        return LEASED_PER_HOST if host in self._well else AT_ONCE
