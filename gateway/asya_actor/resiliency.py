"""Decides on a failure: retry after a delay, another actor, or x-sump. Pure computation."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from asya_actor.failures import Failure

DEFAULT_POLICY = "default"


class Backoff(StrEnum):
    """How the delay grows with the attempts."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What to do with a failure. Times in seconds.

    `max_attempts` includes the first one. Without it, attempts continue while `max_duration` allows; without both there
    is one attempt. `on_exhausted` are the actors that then get the message, in order; none means x-sump.
    """

    max_attempts: int | None = None
    backoff: Backoff = Backoff.EXPONENTIAL
    initial_delay: float = 1.0
    max_interval: float | None = None
    max_duration: float | None = None
    jitter: bool = False
    on_exhausted: tuple[str, ...] = ()
    coefficient: float = 2.0

    @property
    def attempts(self) -> int | None:
        """Most attempts; None if only the duration limits them."""
        if self.max_attempts is not None:
            return self.max_attempts
        return 1 if self.max_duration is None else None

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds between this failed attempt (from 1) and the next. Jitter multiplies by [0.5, 1.5), never above the
        maximum."""
        match self.backoff:
            case Backoff.CONSTANT:
                delay = self.initial_delay
            case Backoff.LINEAR:
                delay = self.initial_delay * attempt
            case Backoff.EXPONENTIAL:
                # After 64 doublings every delay exceeds any maximum; more could overflow a float.
                delay = self.initial_delay * self.coefficient ** min(attempt - 1, 64)
        most = LONGEST_DELAY if self.max_interval is None else min(self.max_interval, LONGEST_DELAY)
        delay = min(delay, most)
        if self.jitter:
            delay = min(delay * (0.5 + chance()), most)
        return delay


LONGEST_DELAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryRule:
    """The policy for these errors. A pattern with a dot is a full name; one without is the last part of a name."""

    errors: tuple[str, ...]
    policy: str

    def matches(self, failure: Failure) -> bool:
        """Whether a pattern is the error's type or one of its base classes."""
        return any(_matches(pattern, name) for name in (failure.type, *failure.mro) for pattern in self.errors)


def _matches(pattern: str, name: str) -> bool:
    return name == pattern if "." in pattern else name.rpartition(".")[2] == pattern


@dataclass(frozen=True, slots=True)
class Retry:
    """Return the message, to be delivered again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Reroute:
    """Send the message to these actors instead."""

    actors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Send the message to x-sump. `exhausted`: a policy's attempts were used up."""

    exhausted: bool


Decision = Retry | Reroute | GiveUp


@dataclass(frozen=True, slots=True)
class Attempts:
    """The state of the attempts: which one failed, when the first one failed, when the task becomes overdue."""

    attempt: int
    first_at: datetime
    now: datetime
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetryRules:
    """An actor's rules and policies. The first matching rule names the policy; otherwise it is `default`. Without a
    policy a failure is final."""

    policies: Mapping[str, RetryPolicy]
    rules: Sequence[RetryRule] = ()

    def policy_for(self, failure: Failure) -> RetryPolicy | None:
        """The policy for this failure, or None."""
        for rule in self.rules:
            if rule.matches(failure):
                return self.policies.get(rule.policy)
        return self.policies.get(DEFAULT_POLICY)

    def most_attempts(self, failure: Failure | None = None) -> int:
        """The value of `status.max_attempts`: from the policy for this failure, or from the default one; at least 1."""
        policy = self.policies.get(DEFAULT_POLICY) if failure is None else self.policy_for(failure)
        return 1 if policy is None else policy.attempts or 1

    def attempt_text(self, failure: Failure, attempt: int) -> str:
        """`2 of 3` for a log; `2` if only the duration limits the attempts."""
        policy = self.policy_for(failure)
        most = 1 if policy is None else policy.attempts
        return str(attempt) if most is None else f"{attempt} of {most}"

    def decide(self, failure: Failure, attempts: Attempts, chance: Callable[[], float] = random.random) -> Decision:
        """The decision on this failure. After the deadline, or if the next attempt would begin after it, there is no
        retry: the failure's own error says more than the deadline's."""
        if failure.error_class == "deadline":
            return GiveUp(exhausted=False)
        policy = self.policy_for(failure)
        if policy is None:
            return GiveUp(exhausted=False)
        delay = policy.delay(attempts.attempt, chance)
        if _may_go_on(policy, attempts, attempts.now + timedelta(seconds=delay)):
            return Retry(delay)
        if policy.on_exhausted:
            return Reroute(policy.on_exhausted)
        return GiveUp(exhausted=True)


def _may_go_on(policy: RetryPolicy, attempts: Attempts, next_at: datetime) -> bool:
    if policy.attempts is not None and attempts.attempt >= policy.attempts:
        return False
    if policy.max_duration is not None and (next_at - attempts.first_at).total_seconds() > policy.max_duration:
        return False
    return attempts.deadline_at is None or next_at < attempts.deadline_at
