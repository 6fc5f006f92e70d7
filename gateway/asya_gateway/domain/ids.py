"""Identifiers that sort by time, so that fresh rows sit together in every index (RFC 9562, UUID version 7)."""

import os
import time
import uuid


def new_task_id() -> str:
    """A UUIDv7 as text: 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
