"""Who may take the lease, by this process's own monotonic clock alone."""

from datetime import UTC, datetime
from typing import Any

from asya_operator.domain.lease import LeaseObserver, LeaseTimes, released, taken

TIMES = LeaseTimes(duration=15.0, renew_deadline=10.0, retry_period=2.0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def held(by: str, renewed: str, duration: int = 15) -> dict[str, Any]:
    return {"holderIdentity": by, "renewTime": renewed, "leaseDurationSeconds": duration, "leaseTransitions": 3}


def test_a_free_lease_and_our_own_may_be_taken_at_once() -> None:
    observer = LeaseObserver("me", TIMES)
    assert observer.may_take({}, 0.0)
    assert observer.may_take(held("", "x"), 0.0)
    assert observer.may_take(held("me", "x"), 0.0)


def test_a_lease_of_another_is_free_once_it_did_not_change_for_its_duration_while_we_watched() -> None:
    observer = LeaseObserver("me", TIMES)
    assert not observer.may_take(held("you", "t1"), 100.0)
    assert not observer.may_take(held("you", "t1"), 114.9)
    assert not observer.may_take(held("you", "t2"), 115.1), "it was renewed"
    assert not observer.may_take(held("you", "t2"), 130.0)
    assert observer.may_take(held("you", "t2"), 130.2)


def test_times_of_another_clock_have_no_effect() -> None:
    observer = LeaseObserver("me", TIMES)
    for written in ("1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z"):
        assert not observer.may_take(held("you", written), 10.0)
        assert not observer.may_take(held("you", written), 24.0)
        assert observer.may_take(held("you", written), 26.0)


def test_the_longer_duration_counts_where_two_versions_disagree() -> None:
    observer = LeaseObserver("me", TIMES)
    observer.may_take(held("you", "t", duration=60), 0.0)
    assert not observer.may_take(held("you", "t", duration=60), 30.0)
    assert observer.may_take(held("you", "t", duration=60), 61.0)


def test_a_change_of_holder_is_a_transition_and_a_renewal_is_not() -> None:
    first = taken(held("you", "t"), "me", TIMES, NOW)
    assert (first["holderIdentity"], first["leaseTransitions"]) == ("me", 4)
    again = taken(first, "me", TIMES, NOW)
    assert (again["leaseTransitions"], again["acquireTime"]) == (4, first["acquireTime"])
    assert released(again)["holderIdentity"] == ""


def test_a_request_never_outlasts_the_retry_period() -> None:
    assert TIMES.request_timeout < TIMES.retry_period
