"""When a lost channel is opened again."""

import random
import time

SHORT_LIVED = 10.0
"""Seconds that a channel has to live for the next one to be opened at once."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


class Reopening:
    """Pauses between channels that do not live long. The broker counts a delivery of each message that a lost channel
    held, and a connection that breaks again and again would use up the deliveries of messages that no handler could
    answer."""

    def __init__(self) -> None:
        self._opened_at: float | None = None
        self._in_a_row = 0

    def opened(self) -> None:
        """A channel consumes."""
        self._opened_at = time.monotonic()

    def pause(self) -> float:
        """Seconds to wait, once for each channel that was lost."""
        opened_at, self._opened_at = self._opened_at, None
        if opened_at is None:
            return 0.0
        if time.monotonic() - opened_at >= SHORT_LIVED:
            self._in_a_row = 0
            return 0.0
        self._in_a_row += 1
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self._in_a_row - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 # spreads, no secret
