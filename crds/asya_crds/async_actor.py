"""AsyncActor (crds/async-actor/async-actor.yaml): one actor and how it is run, in the newest public shape."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from asya_crds.durations import LONGEST_TEXT, parse_duration
from asya_crds.naming import check_own_actor

HANDLER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)+$"

Document = dict[str, Any]
"""A piece of the pod specification, passed to Kubernetes unchanged."""


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


ActorName = Annotated[str, AfterValidator(check_own_actor)]
DurationText = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_check_duration)]
"""A duration kept as text, because actors parse it themselves."""


class PullPolicy(StrEnum):
    """When the node pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class SpecPart(BaseModel):
    """Shared configuration: camelCase on the wire; fields of other versions are kept and are never an error."""

    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class EnvVar(SpecPart):
    """One environment variable of a container."""

    name: str = Field(min_length=1)
    value: str | None = None
    value_from: Document | None = None


class SidecarImage(SpecPart):
    """An image given in parts."""

    repository: str = Field(min_length=1)
    tag: str | None = None
    pull_policy: PullPolicy | None = None

    @property
    def reference(self) -> str:
        """The value of the container's `image`."""
        return f"{self.repository}:{self.tag}" if self.tag else self.repository


class Sidecar(SpecPart):
    """A third-party sidecar that consumes the queue in place of our worker."""

    image: SidecarImage | str | None = None
    image_pull_policy: PullPolicy | None = None
    env: list[EnvVar] = Field(default_factory=list)
    resources: Document | None = None


class Advanced(SpecPart):
    """Advanced settings of the autoscaler."""

    restore_to_original_replica_count: bool | None = None
    formula: str | None = None
    target: str | None = None
    activation_target: str | None = None
    metric_type: str | None = None


class Scaling(SpecPart):
    """When the autoscaler may change the number of replicas."""

    enabled: bool = True
    min_replica_count: int = Field(default=0, ge=0)
    max_replica_count: int = Field(default=10, ge=1)
    polling_interval: int = Field(default=30, ge=1, description="seconds")
    cooldown_period: int = Field(default=300, ge=0, description="seconds")
    queue_length: int = Field(default=5, ge=1, description="messages that one replica is expected to handle")
    advanced: Advanced | None = None
    additional_triggers: list[Document] = Field(default_factory=list)


class Policy(SpecPart):
    """How often and how fast a failed message is retried."""

    max_attempts: int | None = Field(default=None, ge=1)
    backoff: str | None = None
    initial_delay: DurationText | None = None
    max_interval: DurationText | None = None
    max_duration: DurationText | None = None
    jitter: bool | None = None
    on_exhausted: list[ActorName] = Field(default_factory=list)


class Rule(SpecPart):
    """Which policy applies to which errors; the first match wins."""

    errors: list[str] = Field(min_length=1)
    policy: str = Field(min_length=1)


class Resiliency(SpecPart):
    """What happens when the handler fails. Without it there is one attempt."""

    actor_timeout: DurationText | None = None
    policies: dict[str, Policy] = Field(default_factory=dict)
    rules: list[Rule] = Field(default_factory=list)


class SecretKey(SpecPart):
    """One key of a Secret as an environment variable."""

    key: str = Field(min_length=1)
    env_var: str = Field(min_length=1)


class SecretRef(SpecPart):
    """Keys of one Secret as environment variables."""

    secret_name: str = Field(min_length=1)
    keys: list[SecretKey]


class Mount(SpecPart):
    """Where a state proxy's files appear to the handler."""

    path: str = Field(pattern=r"^/")


class Connector(SpecPart):
    """The container that stores a state proxy's files."""

    image: str = Field(min_length=1)
    image_pull_policy: PullPolicy | None = None
    env: list[EnvVar] = Field(default_factory=list)
    resources: Document | None = None


class StateProxy(SpecPart):
    """An actor's state, stored by a connector and mounted at a path."""

    name: str = Field(min_length=1, max_length=40)
    mount: Mount
    write_mode: str = "buffered"
    connector: Connector


class Tracing(SpecPart):
    """Where the actor sends its traces."""

    endpoint: str | None = None


class AsyncActorSpec(SpecPart):
    """Every field of the newest public shape. older_shapes.modernise converts older shapes to it."""

    actor: ActorName
    image: str = Field(min_length=1, max_length=1024)
    handler: Annotated[str, StringConstraints(pattern=HANDLER_PATTERN, min_length=3, max_length=512)]
    image_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    python_executable: str = Field(default="python3", min_length=1)
    replicas: int = Field(default=1, ge=0, description="only with scaling off")
    env: list[EnvVar] = Field(default_factory=list)
    resources: Document | None = None
    tolerations: list[Document] = Field(default_factory=list)
    node_selector: dict[str, str] = Field(default_factory=dict)
    volumes: list[Document] = Field(default_factory=list)
    volume_mounts: list[Document] = Field(default_factory=list)
    init_containers: list[Document] = Field(default_factory=list, max_length=16)
    sidecars: list[Document] = Field(default_factory=list, max_length=16)
    flavors: list[Annotated[str, Field(min_length=3)]] = Field(default_factory=list, max_length=8)
    sidecar: Sidecar | None = None
    tracing: Tracing | None = None
    secret_refs: list[SecretRef] = Field(default_factory=list)
    state_proxy: list[StateProxy] = Field(default_factory=list)
    scaling: Scaling | None = None
    resiliency: Resiliency | None = None
    startup_timeout: DurationText | None = None
    termination_grace_period_seconds: int | None = Field(default=None, ge=1, le=604_800)

    @property
    def foreign_sidecar(self) -> str | None:
        """The image of the sidecar that consumes the queue; None where our worker does."""
        image = self.sidecar.image if self.sidecar else None
        return image.reference if isinstance(image, SidecarImage) else image

    @property
    def scales(self) -> bool:
        """Whether an autoscaler owns the number of replicas."""
        return self.scaling is not None and self.scaling.enabled
