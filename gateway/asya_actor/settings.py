"""Every setting of worker and crew: its variable, default and reason. Read once at start and passed down."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from asya_actor.resiliency import DEFAULT_POLICY, Backoff, RetryPolicy, RetryRules
from asya_actor.resiliency_text import PolicyText, RuleText
from asya_actor.state.mounts import parse_mounts
from asya_crds import jsontext
from asya_crds.durations import Duration
from asya_crds.setting_types import (
    ListenHost,
    Namespace,
    OwnActor,
    SettingsError,
    Switch,
    WebUrl,
    check_web_url,
    explained,
    split_commas,
)

S = TypeVar("S", bound="_Common")


def _check_allowed(value: str) -> str:
    return value if value == "*" else check_web_url(value)


def check_handler(value: str) -> str:
    """`module.function` or `module.Class.method`; raises ValueError."""
    if value.count(".") < 1 or not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("expected module.function or module.Class.method")
    return value


Urls = Annotated[list[Annotated[str, AfterValidator(_check_allowed)]], NoDecode]
Actors = Annotated[list[OwnActor], NoDecode]
JsonValue = Annotated[Any, NoDecode]


def _decoded(value: Any, empty: Any) -> Any:
    """The value of a variable with JSON; `empty` for an empty one."""
    if isinstance(value, str):
        value = jsontext.loads(value) if value.strip() else None
    return empty if value is None else value


class _Common(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ASYA_", extra="ignore", frozen=True)

    namespace: Namespace = Field("default", description="Namespace in the names of queues: asya-{namespace}-{actor}.")
    gateway_url: WebUrl = Field(
        "", description="Base URL of the mesh routes, for reports, claims and live events; empty disables all of them."
    )
    gateway_url_allowed: Urls = Field(
        default_factory=list,
        description="Additional origins (comma separated, `*` for any) that an envelope may name in "
        "x-asya-gateway-url.",
    )
    actor_sink: OwnActor = Field(
        "x-sink", description="Actor that gets every message that has reached the end of its route."
    )
    actor_sump: OwnActor = Field("x-sump", description="Actor that gets every message that failed for good.")
    actor_shutdown_timeout: Duration = Field(
        25.0, description="How long messages may be processed after SIGTERM; then they are returned to the queue."
    )
    unroutable_timeout: Duration = Field(
        30.0, description="How long a message waits for the next actor's queue to exist before the task fails."
    )
    metrics_host: ListenHost = Field(
        "0.0.0.0",  # noqa: S104 # nosec B104 # a pod serves its own address; tests say 127.0.0.1
        description="Address of /metrics, /health and /health/ready.",
    )
    metrics_port: int = Field(
        9090, ge=-1, le=65535, description="Port of /metrics, /health and /health/ready; 0 takes a free one, -1 none."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="json, or text for a terminal.")
    otel_enabled: Switch = Field(
        False, description="Send a span for every handler call by OTLP (extra `telemetry`; OTEL_* variables apply)."
    )

    @field_validator("gateway_url_allowed", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class WorkerSettings(_Common):
    """One actor: its queue, its handler and what happens when that fails (docs/settings.md)."""

    actor_name: OwnActor = Field(description="The actor's name, which is part of the queue's name. Required.")
    handler: Annotated[str, AfterValidator(check_handler)] = Field(
        description="The handler: module.function or module.Class.method. Required."
    )
    actor_concurrency: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Number of messages that are processed at the same time (64 for an async handler, 1 for a plain "
        "one).",
    )
    actor_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of processes, each with its own concurrency, for handlers that compute: a process uses one "
        "core.",
    )
    resiliency_actor_timeout: Duration = Field(
        300.0, gt=0, description="Longest time that one call of the handler may take; then it fails with TimeoutError."
    )
    actor_cancel_timeout: Duration | None = Field(
        None,
        description="How long a plain function, which cannot be interrupted, may continue after its task was canceled; "
        "then the process ends, to be restarted. Without it the actor waits until the function's timeout.",
    )
    resiliency_policies: Annotated[dict[str, PolicyText], NoDecode] = Field(
        default_factory=dict,
        description="JSON object: name → {maxAttempts, backoff, initialDelay, maxInterval, maxDuration, jitter, "
        "onExhausted}.",
    )
    resiliency_rules: Annotated[list[RuleText], NoDecode] = Field(
        default_factory=list, description="JSON array of {errors: [pattern], policy: name}; the first match applies."
    )
    resiliency_retry_policy: Literal["", "constant", "linear", "exponential"] = Field(
        "", description="Older form, used if there are no policies: how the delay grows (exponential)."
    )
    resiliency_retry_max_attempts: int | None = Field(
        None, ge=1, description="Older form: largest number of attempts, including the first (3)."
    )
    resiliency_retry_initial_interval: Duration | None = Field(None, description="Older form: first delay (1s).")
    resiliency_retry_max_interval: Duration | None = Field(None, description="Older form: longest delay (300s).")
    resiliency_retry_backoff_coefficient: float | None = Field(
        None, ge=1, le=1000, description="Older form: factor between successive delays (2.0)."
    )
    resiliency_retry_jitter: Switch | None = Field(None, description="Older form: vary the delays (true).")
    state_proxy_mounts: str = Field(
        "",
        description="Folders that are kept in a store: name:path:write=buffered or passthrough, separated by "
        "semicolons.",
    )
    state_proxy_folder: str = Field(
        "/var/run/asya/state", description="Folder of the connectors' Unix sockets: {folder}/{name}.sock."
    )
    state_proxy_timeout: Duration = Field(
        30.0, gt=0, description="How long a connector may take to respond; then the handler gets a TimeoutError."
    )
    state_proxy_max_bytes: int = Field(
        268435456,
        ge=1,
        description="Largest file of a buffered mount, which is kept in full; passthrough mounts have no limit.",
    )

    @field_validator("state_proxy_folder")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("expected an absolute path")
        return value

    @field_validator("state_proxy_mounts")
    @classmethod
    def _are_mounts(cls, value: str) -> str:
        parse_mounts(value)
        return value

    @field_validator("resiliency_policies", mode="before")
    @classmethod
    def _decode_policies(cls, value: Any) -> Any:
        decoded = _decoded(value, {})
        if not isinstance(decoded, dict):
            raise ValueError("expected a JSON object of policies")
        return decoded

    @field_validator("resiliency_rules", mode="before")
    @classmethod
    def _decode_rules(cls, value: Any) -> Any:
        decoded = _decoded(value, [])
        if not isinstance(decoded, list):
            raise ValueError("expected a JSON array of rules")
        return decoded

    @model_validator(mode="after")
    def _rules_name_policies(self) -> "WorkerSettings":
        for rule in self.resiliency_rules:
            if rule.policy not in self.resiliency_policies:
                raise ValueError(f"ASYA_RESILIENCY_RULES names the policy {rule.policy!r}, which does not exist")
        return self

    @property
    def resiliency(self) -> RetryRules:
        """Policies and rules from the newer or the older variables; the newer ones if both are set."""
        if self.resiliency_policies or self.resiliency_rules:
            policies = {name: text.policy() for name, text in self.resiliency_policies.items()}
            return RetryRules(policies, [text.rule() for text in self.resiliency_rules])
        given = (
            self.resiliency_retry_policy or None,
            self.resiliency_retry_max_attempts,
            self.resiliency_retry_initial_interval,
            self.resiliency_retry_max_interval,
            self.resiliency_retry_backoff_coefficient,
            self.resiliency_retry_jitter,
        )
        if all(value is None for value in given):
            return RetryRules({})
        return RetryRules({DEFAULT_POLICY: self._older_policy()})

    def _older_policy(self) -> RetryPolicy:
        initial, longest = self.resiliency_retry_initial_interval, self.resiliency_retry_max_interval
        return RetryPolicy(
            max_attempts=self.resiliency_retry_max_attempts or 3,
            backoff=Backoff(self.resiliency_retry_policy or Backoff.EXPONENTIAL),
            initial_delay=1.0 if initial is None else initial,
            max_interval=300.0 if longest is None else longest,
            jitter=self.resiliency_retry_jitter is not False,
            coefficient=self.resiliency_retry_backoff_coefficient or 2.0,
        )


class CrewSettings(_Common):
    """The crew: x-sink, x-sump, x-pause, x-resume and the dead letters in one program (docs/settings.md)."""

    crew_concurrency: int = Field(
        16, ge=1, le=1000, description="Number of messages of each queue that are processed at the same time."
    )
    pause_metadata: JsonValue = Field(
        default_factory=lambda: {"prompt": "Task paused", "fields": []},
        description="JSON {prompt, fields[]}: the question of x-pause if the envelope has none.",
    )
    resume_merge_mode: Literal["shallow", "deep"] = Field(
        "shallow", description="How x-resume merges an answer without named fields into the payload."
    )

    sink_hooks: Actors = Field(
        default_factory=list,
        description="Actors that get a copy of every message that ended, comma separated, after its end was reported.",
    )
    sink_fanout_hooks: Switch = Field(False, description="Send children of a fan-out to the hooks too.")

    @field_validator("sink_hooks", mode="before")
    @classmethod
    def _split_hooks(cls, value: Any) -> Any:
        return split_commas(value)

    @field_validator("pause_metadata", mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        decoded = jsontext.loads(value) if isinstance(value, str) else value
        if not isinstance(decoded, dict):
            raise ValueError("expected a JSON object {prompt, fields}")
        return decoded


def worker_settings(values: Mapping[str, Any] | None = None) -> WorkerSettings:
    """Read the settings from the environment; `values` override it (`asya dev` passes those of each actor). Raises
    SettingsError."""
    return _read(WorkerSettings, values)


def crew_settings(values: Mapping[str, Any] | None = None) -> CrewSettings:
    """Like worker_settings, for the crew."""
    return _read(CrewSettings, values)


def _read(kind: type[S], values: Mapping[str, Any] | None) -> S:
    try:
        return kind(**(values or {}))
    except ValidationError as error:
        raise SettingsError(explained(error, kind)) from None
