"""Rules, policies and delays."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from asya_actor.failures import Failure, describe, overdue, timed_out
from asya_actor.resiliency import Attempts, Backoff, GiveUp, Reroute, Retry, RetryPolicy, RetryRule, RetryRules

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(attempt: int = 1, since_first: float = 0.0, left: float | None = None) -> Attempts:
    deadline = None if left is None else NOW + timedelta(seconds=left)
    return Attempts(attempt, NOW - timedelta(seconds=since_first), NOW, deadline)


FAILURE = Failure("x", "package.errors.Broken", ("package.errors.Base", "ValueError", "Exception", "BaseException"))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("package.errors.Broken", True),
        ("Broken", True),
        ("Base", True),
        ("package.errors.Base", True),
        ("ValueError", True),
        ("Exception", True),
        ("other.errors.Broken", False),
        ("errors.Broken", False),
        ("broken", False),
        ("TypeError", False),
    ],
)
def test_a_pattern_is_a_full_name_or_a_last_part_of_type_or_bases(pattern: str, matches: bool) -> None:
    assert RetryRule((pattern,), "p").matches(FAILURE) is matches


def test_the_first_matching_rule_counts_and_else_the_default_policy() -> None:
    one, two, default = RetryPolicy(max_attempts=1), RetryPolicy(max_attempts=2), RetryPolicy(max_attempts=3)
    resiliency = RetryRules(
        {"one": one, "two": two, "default": default},
        [RetryRule(("TypeError",), "one"), RetryRule(("Base",), "two"), RetryRule(("Broken",), "one")],
    )
    assert resiliency.policy_for(FAILURE) is two
    assert resiliency.policy_for(Failure("x", "KeyError")) is default
    assert RetryRules({"one": one}, [RetryRule(("TypeError",), "one")]).policy_for(FAILURE) is None


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(backoff=Backoff.CONSTANT, initial_delay=2), [2, 2, 2, 2]),
        (RetryPolicy(backoff=Backoff.LINEAR, initial_delay=2), [2, 4, 6, 8]),
        (RetryPolicy(backoff=Backoff.EXPONENTIAL, initial_delay=2), [2, 4, 8, 16]),
        (RetryPolicy(backoff=Backoff.EXPONENTIAL, initial_delay=2, max_interval=5), [2, 4, 5, 5]),
        (RetryPolicy(backoff=Backoff.EXPONENTIAL, initial_delay=1, coefficient=3), [1, 3, 9, 27]),
        (RetryPolicy(backoff=Backoff.CONSTANT, initial_delay=0), [0, 0, 0, 0]),
    ],
)
def test_delays_without_jitter_are_exact(policy: RetryPolicy, delays: list[float]) -> None:
    assert [policy.delay(attempt) for attempt in (1, 2, 3, 4)] == delays


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.sampled_from(Backoff), st.floats(0, 1e6))
def test_a_delay_is_within_its_jitter_and_its_maximum(
    attempt: int, chance: float, backoff: Backoff, initial: float
) -> None:
    plain = RetryPolicy(backoff=backoff, initial_delay=initial, max_interval=60)
    delay = RetryPolicy(backoff=backoff, initial_delay=initial, max_interval=60, jitter=True).delay(
        attempt, lambda: chance
    )
    assert plain.delay(attempt) * 0.5 <= delay <= min(60, plain.delay(attempt) * 1.5)


@pytest.mark.parametrize(
    ("policy", "attempts", "decision"),
    [
        (None, at(), GiveUp(exhausted=False)),
        (RetryPolicy(), at(), GiveUp(exhausted=True)),
        (RetryPolicy(max_attempts=3), at(1), Retry(1.0)),
        (RetryPolicy(max_attempts=3), at(2), Retry(2.0)),
        (RetryPolicy(max_attempts=3), at(3), GiveUp(exhausted=True)),
        (RetryPolicy(max_attempts=1, on_exhausted=("a", "b")), at(1), Reroute(("a", "b"))),
        (RetryPolicy(max_duration=10), at(3, since_first=5), Retry(4.0)),
        (RetryPolicy(max_duration=10), at(3, since_first=7), GiveUp(exhausted=True)),
        (RetryPolicy(max_attempts=9, max_duration=10), at(3, since_first=7), GiveUp(exhausted=True)),
        (RetryPolicy(max_attempts=9), at(1, left=0.5), GiveUp(exhausted=True)),
        (RetryPolicy(max_attempts=9), at(1, left=1.5), Retry(1.0)),
    ],
)
def test_what_becomes_of_a_failure(policy: RetryPolicy | None, attempts: Attempts, decision: Any) -> None:
    resiliency = RetryRules({} if policy is None else {"default": policy})
    assert resiliency.decide(FAILURE, attempts) == decision


def test_a_missed_deadline_is_never_retried() -> None:
    resiliency = RetryRules({"default": RetryPolicy(max_attempts=9)})
    assert resiliency.decide(overdue("a", started=True), at()) == GiveUp(exhausted=False)


def test_a_timeout_matches_as_the_built_in_error() -> None:
    failure = timed_out("a", 5)
    assert RetryRule(("TimeoutError",), "p").matches(failure)
    assert RetryRule(("OSError",), "p").matches(failure)
    assert failure.error_class == "runtime"


def test_an_exception_is_described_by_dotted_names_and_built_in_ones_are_bare() -> None:
    class Own(KeyError):
        @override
        def __str__(self) -> str:
            raise RuntimeError

    failure = describe(Own())
    assert failure.type.endswith(".Own")
    assert failure.mro == ("KeyError", "LookupError", "Exception", "BaseException")
    assert failure.message == "Own"


class Hostile(type):
    """A metaclass that answers nothing."""

    @override
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


def _raising(wanted: type[BaseException]) -> type[Exception]:
    def raises(*_: object) -> str:
        raise wanted

    return type("Bad", (ValueError,), {"__str__": raises, "__repr__": raises, "__notes__": property(raises)})


@pytest.mark.parametrize("wanted", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, RecursionError])
def test_an_exception_that_raises_when_it_is_asked_is_described_all_the_same(wanted: type[BaseException]) -> None:
    failure = describe(_raising(wanted)("x"))
    assert failure.message == "Bad"
    assert failure.type.endswith("Bad")
    assert failure.mro == ("ValueError", "Exception", "BaseException")


def test_an_exception_without_text_module_or_an_honest_class_is_described_all_the_same() -> None:
    odd = type("Odd", (Exception,), {"__module__": None, "__str__": lambda self: None})
    assert describe(odd()).type == "Odd"
    assert describe(odd()).message == "Odd"
    dishonest: Any = Hostile("Dishonest", (Exception,), {})
    assert describe(BaseException.__new__(dishonest)).message == "Dishonest"


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ({}, "2 of 1"),
        ({"default": RetryPolicy()}, "2 of 1"),
        ({"default": RetryPolicy(max_attempts=3)}, "2 of 3"),
        ({"default": RetryPolicy(max_attempts=3, max_duration=60)}, "2 of 3"),
        ({"default": RetryPolicy(max_duration=60)}, "2"),
    ],
)
def test_a_log_names_the_limit_of_attempts_only_where_there_is_one(policies: dict[str, RetryPolicy], said: str) -> None:
    assert RetryRules(policies).attempt_text(FAILURE, 2) == said
