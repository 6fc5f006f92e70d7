"""Identifiers that sort by time, so that fresh rows sit together in every index (RFC 9562, UUID version 7)."""

import os
import time

_AT_ONCE = 256
"""Ids whose random parts are read from the system together. On a busy machine, each such call costs more than the rest
of an id."""
_RANDOM_BYTES = 10
"""Random bytes for one id: 74 random bits, and two that select the digit with the variant."""

_chances: list[str] = []


def new_task_id() -> str:
    """A UUIDv7 as text: 48 bits of milliseconds, 74 random bits."""
    time_part = f"{time.time_ns() // 1_000_000:012x}"
    chance = _random_digits()
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{time_part[:8]}-{time_part[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"


def _random_digits() -> str:
    """Twenty hexadecimal digits that no other id gets, in any thread."""
    try:
        return _chances.pop()
    except IndexError:
        digits = os.urandom(_AT_ONCE * _RANDOM_BYTES).hex()
        width = 2 * _RANDOM_BYTES
        _chances.extend(digits[start : start + width] for start in range(width, len(digits), width))
        return digits[:width]


# A forked process must not use the same digits as its parent.
os.register_at_fork(after_in_child=_chances.clear)
