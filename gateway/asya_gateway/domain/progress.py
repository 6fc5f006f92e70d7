"""A task's progress, from the route and state of its latest report."""

from hashlib import blake2b
from random import getrandbits

from asya_crds.envelope import Route
from asya_crds.status import HopState
from asya_gateway.domain.reports import Claim


def progress_percent(route: Route, state: HopState, *, shifted: bool = False) -> float:
    """`(len(prev) + weight) * 100 / total`, at most 100. A finished route is 100 percent.

    `shifted`: the route is the one that the actor forwards, so the actor itself is the last of `prev`.
    """
    if not route.curr and not route.next:
        return 100.0
    weight = 0.0 if shifted else state.weight
    return min(100.0, (len(route.prev) + weight) * 100.0 / route.total)


def report_key(claim: Claim | None, state: HopState) -> int:
    """A 63-bit key by which a report is counted once.

    Our worker names hop and attempt, so its repetitions have the same key. A report without them gets a random key,
    which protects the gateway's own retries after a lost connection.
    """
    if claim is None:
        return getrandbits(63)
    digest = blake2b(f"{claim.hop}\0{claim.attempt}\0{claim.claimant}\0{state}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big") >> 1
