"""Identifiers that sort by time, so that fresh rows sit together in every index (RFC 9562, UUID version 7)."""

import os
import time


def new_task_id() -> str:
    """A UUIDv7 as text: 48 bits of milliseconds, 74 random bits."""
    time_part = f"{time.time_ns() // 1_000_000:012x}"
    chance = os.urandom(10).hex()
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{time_part[:8]}-{time_part[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
