"""The limit of requests that this process holds open. Streams, blocking calls and waiting ones count alike."""

from collections.abc import Iterator
from contextlib import contextmanager

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.protocols.http.errors import StreamsExhausted

WEIGHT = 40 * 1024
"""Bytes of a held request with its connection and its follower, without the items queued for it."""


class HeldRequests:
    """One limit for all requests that wait for a task."""

    def __init__(self, limit: int, budget: Budget) -> None:
        self._limit = limit
        self._budget = budget
        self._held = 0

    def __len__(self) -> int:
        return self._held

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count one more request while the block runs. Enter it before a call is stored, so that a refusal leaves no
        task behind. Raises StreamsExhausted, NoRoom."""
        if self._held >= self._limit:
            raise StreamsExhausted(f"expected at most {self._limit} requests that are held open")
        self._budget.take(Share.HELD, WEIGHT)
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._budget.give_back(Share.HELD, WEIGHT)
