"""Who leads: decisions about a coordination.k8s.io/v1 Lease, by this process's monotonic clock only.

The times inside the Lease are informative. Whether it is still held is decided by when this process last saw it change,
so clocks that differ or jump do no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Times in seconds. A holder that could not renew for `renew_deadline` ends itself. Others may take over after
    `duration` without a change. `retry_period` is the time between two attempts."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    @property
    def request_timeout(self) -> float:
        """Shorter than the retry period, so that a hanging request costs at most one attempt."""
        return self.retry_period * 0.75


class LeaseObserver:
    """Remembers when the Lease last changed, on our clock."""

    def __init__(self, identity: str, times: LeaseTimes) -> None:
        self._identity, self._times = identity, times
        self._seen: tuple[Any, ...] | None = None
        self._since = 0.0

    def may_take(self, spec: Mapping[str, Any], now: float) -> bool:
        """Whether the lease is ours, is free, or has not changed for its duration while we watched."""
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._since = record, now
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        duration = max(self._times.duration, float(spec.get("leaseDurationSeconds") or 0))
        return now - self._since > duration


def taken(spec: Mapping[str, Any], identity: str, times: LeaseTimes, now: datetime) -> dict[str, Any]:
    """The Lease's spec with us as the holder. A change of holder counts as a transition."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    ours = spec.get("holderIdentity") == identity
    transitions = int(spec.get("leaseTransitions") or 0)
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": max(1, round(times.duration)),
        "acquireTime": spec.get("acquireTime") if ours and spec.get("acquireTime") else stamp,
        "renewTime": stamp,
        "leaseTransitions": transitions if ours else transitions + 1,
    }


def released(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The Lease's spec after an orderly end: free at once for the next candidate."""
    return {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
