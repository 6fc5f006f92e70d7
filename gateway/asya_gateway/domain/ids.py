"""Identifiers that sort by time, so that fresh rows sit together in every index (RFC 9562, UUID version 7)."""

import os
import time
from functools import lru_cache

_AT_ONCE = 256
"""Ids whose random parts are read from the system together. On a busy machine, each such call costs more than the rest
of an id."""
_RANDOM_BYTES = 10
"""Random bytes for one id: 74 random bits, and two that select the digit with the variant."""

_chances: list[str] = []


def new_task_id() -> str:
    """A UUIDv7 as text: 48 bits of milliseconds, 74 random bits."""
    return _time_part(time.time_ns() // 1_000_000) + _random_part()


def ids_since(seconds: float) -> str:
    """A text that sorts before every id that was made in the last so many seconds, and behind all older ones."""
    return _time_part((time.time_ns() // 1_000_000) - int(seconds * 1000))


@lru_cache(maxsize=4)
def _time_part(milliseconds: int) -> str:
    """Cached, because under load several ids are made within one millisecond."""
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-7"


def _random_part() -> str:
    """The rest of an id, behind the version; no other id gets it, in any thread."""
    try:
        return _chances.pop()
    except IndexError:
        digits = os.urandom(_AT_ONCE * _RANDOM_BYTES).hex()
        width = 2 * _RANDOM_BYTES
        made = [_shaped(digits[start : start + width]) for start in range(0, len(digits), width)]
        _chances.extend(made[1:])
        return made[0]


def _shaped(digits: str) -> str:
    variant = "89ab"[int(digits[3], 16) & 3]
    return f"{digits[:3]}-{variant}{digits[4:7]}-{digits[7:19]}"


# A forked process must not use the same digits as its parent.
os.register_at_fork(after_in_child=_chances.clear)
