"""What has been revoked, as this process knows it, and how old that knowledge is."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.keys import SUBJECT_PREFIX

log = logging.getLogger(__name__)

LOOK_EVERY = 1.5
"""Seconds between two looks at the database. A notification comes sooner; this is for one that was lost. With the look
itself, a change of keys or a revocation is in force on every pod that reaches the database within two seconds."""
STALE_AFTER = 10.0
"""Seconds after which what a process knows is too old to admit anybody by it."""


class Revocation(NamedTuple):
    """A subject and the Unix time until which it must be remembered, because something that was issued under it could
    otherwise still be honoured."""

    subject: str
    until: float


class Revocations:
    """Asked for each credential, and again by whatever outlives its request. A subject is `key:<id>`, `grant:<id>` or
    `client:<hash>`; a key counts as revoked as soon as it is no longer among the living ones (`lives`)."""

    def __init__(self, lives: Callable[[str], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lives = lives
        self._monotonic = monotonic
        self._until: dict[str, float] = {}
        self._callbacks: list[Callable[[frozenset[str]], None]] = []
        self._seen_at: float | None = None
        self.missed = False
        """Whether the last look at the database failed."""

    @property
    def stale(self) -> bool:
        """Whether revocations may have been missed for too long. It is so until the first look at the database."""
        return self._seen_at is None or self._monotonic() - self._seen_at > STALE_AFTER

    @property
    def uncertain(self) -> bool:
        """Whether nobody should be refused for good: the database is away, though perhaps not for long yet."""
        return self.missed or self.stale

    def check_fresh(self) -> None:
        """Raises Unavailable if credentials cannot be judged now. A caller that got 401 instead would throw its
        registration away."""
        if self.stale:
            raise Unavailable("credentials cannot be checked now")

    def revoked(self, subjects: Iterable[str]) -> bool:
        """Whether one of the subjects has been revoked. Asked for every request."""
        for subject in subjects:
            if subject in self._until:
                return True
            if subject.startswith(SUBJECT_PREFIX) and not self._lives(subject.removeprefix(SUBJECT_PREFIX)):
                return True
        return False

    def on_revoked(self, callback: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Call back with the subjects of each further revocation; the returned function ends that."""
        self._callbacks.append(callback)

        def leave() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return leave

    def learn(self, revocations: Iterable[Revocation], now: float) -> None:
        """Remember revocations, tell whoever is subscribed of the new ones, and forget those whose time is over. `now`
        is the database's time."""
        fresh = {each.subject for each in revocations if each.subject not in self._until}
        self._until.update({each.subject: each.until for each in revocations})
        self._until = {subject: until for subject, until in self._until.items() if until > now}
        self.tell(frozenset(fresh))

    def tell(self, subjects: frozenset[str]) -> None:
        """Tell whoever is subscribed that what these subjects gave has ended, or has changed."""
        if not subjects:
            return
        for callback in tuple(self._callbacks):
            try:
                callback(subjects)
            except Exception:
                # One subscriber's fault must not hide the revocation from the others.
                log.exception("a revocation was not followed")

    def seen(self, asked_at: float) -> None:
        """Everything that was revoked before this monotonic time is known."""
        self._seen_at = asked_at if self._seen_at is None else max(self._seen_at, asked_at)

    def __len__(self) -> int:
        return len(self._until)
