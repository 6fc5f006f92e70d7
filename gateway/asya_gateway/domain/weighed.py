"""Caches that are bounded by the memory of what they hold, because a number of values says little about it."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Generic, TypeVar

CACHE_BYTES = 4 * 1024 * 1024
"""What a cache may hold where nobody says how much."""
ENTRY = 512
"""Bytes of an entry beside what is weighed: its key, and the objects around its value."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class WeighedCache(Generic[Key, Value]):
    """The most recently used values that together weigh at most so many bytes. A value that would take the place of
    all others is not kept. `most` are the bytes of all entries."""

    def __init__(self, most: int, weigh: Callable[[Value], int]) -> None:
        self.most = most
        self._weigh = weigh
        self._held: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Key) -> Value | None:
        """The value, if it is kept."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def keep(self, key: Key, value: Value) -> None:
        """Keep a value, in place of those that were used least recently."""
        self.drop(key)
        weight = ENTRY + self._weigh(value)
        if weight > self.most:
            return
        self._held[key] = value, weight
        self.bytes += weight
        while self.bytes > self.most:
            _, (_, weight) = self._held.popitem(last=False)
            self.bytes -= weight

    def drop(self, key: Key) -> None:
        """Forget a value, if it is kept."""
        found = self._held.pop(key, None)
        if found is not None:
            self.bytes -= found[1]

    def drop_all(self, gone: Callable[[Value], bool]) -> None:
        """Forget every value for which this is true."""
        for key in [key for key, (value, _) in self._held.items() if gone(value)]:
            self.drop(key)

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self.bytes = 0


def weight_of(value: Any) -> int:
    """Bytes of a decoded JSON value, or of a collection of texts, in memory. What is there twice counts twice."""
    total, rest = 0, [value]
    while rest:
        node = rest.pop()
        total += sys.getsizeof(node)
        if isinstance(node, Mapping):
            rest += node.keys()
            rest += node.values()
        elif isinstance(node, Collection) and not isinstance(node, str | bytes):
            rest += node
    return total
