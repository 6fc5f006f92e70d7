"""`resiliency` as users write it: in an AsyncActor, in actors.yaml, and as JSON in variables."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from asya_actor.resiliency import Backoff, RetryPolicy, RetryRule
from asya_crds.durations import Duration
from asya_crds.setting_types import OwnActor


class PolicyText(BaseModel):
    """A policy in the form of AsyncActor's `resiliency.policies`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    max_attempts: int | None = Field(None, ge=1, alias="maxAttempts")
    backoff: Backoff = Backoff.EXPONENTIAL
    initial_delay: Duration = Field(1.0, alias="initialDelay")
    max_interval: Duration | None = Field(None, alias="maxInterval")
    max_duration: Duration | None = Field(None, alias="maxDuration")
    jitter: bool = False
    on_exhausted: list[OwnActor] = Field(default_factory=list, alias="onExhausted")

    def policy(self) -> RetryPolicy:
        """The same as plain data."""
        return RetryPolicy(**(self.model_dump() | {"on_exhausted": tuple(self.on_exhausted)}))


class RuleText(BaseModel):
    """A rule in the form of AsyncActor's `resiliency.rules`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: list[str] = Field(min_length=1)
    policy: str

    def rule(self) -> RetryRule:
        """The same as plain data."""
        return RetryRule(tuple(self.errors), self.policy)


class ResiliencyText(BaseModel):
    """The whole block: `{actorTimeout?, policies?, rules?}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    actor_timeout: Duration | None = Field(None, gt=0, alias="actorTimeout")
    policies: dict[str, PolicyText] = Field(default_factory=dict)
    rules: list[RuleText] = Field(default_factory=list)

    @field_validator("policies", mode="before")
    @classmethod
    def _no_policies(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("rules", mode="before")
    @classmethod
    def _no_rules(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _rules_name_policies(self) -> Self:
        """The mistake belongs to the rule's own field, so that its line can be shown."""
        unknown = [
            InitErrorDetails(
                type=PydanticCustomError("unknown_policy", "no policy has this name"),
                loc=("rules", place, "policy"),
                input=rule.policy,
            )
            for place, rule in enumerate(self.rules)
            if rule.policy not in self.policies
        ]
        if unknown:
            raise ValidationError.from_exception_data("rules", unknown)
        return self
