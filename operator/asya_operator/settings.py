"""Every setting of the operator: its variable, default and reason. Read once at start and passed down."""

import os
import socket
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from asya_crds.durations import Duration
from asya_crds.setting_types import (
    ListenHost,
    Namespace,
    ObjectName,
    SettingsError,
    Switch,
    VisibleName,
    WebUrl,
    explained,
)
from asya_transports.known import EMBEDDED, check_transport_name


class OperatorSettings(BaseSettings):
    """Read from variables that begin with ASYA_ (a test compares docs/settings.md with this class)."""

    model_config = SettingsConfigDict(env_prefix="ASYA_", extra="ignore", frozen=True)

    namespace: Namespace = Field("default", description="The one namespace that this operator serves.")
    mesh_url: WebUrl = Field("http://asya-gateway-mesh:8080", description="Base URL of the mesh Service to push to.")
    pod_name: VisibleName = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        description="Holder of the lease, unique among processes; a Deployment sets it from metadata.name.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    operator_bind: ListenHost = Field(
        "0.0.0.0",  # noqa: S104 # nosec B104 # pods are reached from outside themselves
        description="Address of probes and metrics.",
    )
    operator_port: int = Field(
        9090, ge=0, le=65535, description="Port of probes and metrics: /healthz /readyz /metrics."
    )

    lease_name: ObjectName = Field("asya-operator", description="Name of the Lease by which the leader is elected.")
    lease_duration: Duration = Field(
        15.0, gt=0, description="How long a lease is valid without renewal; then it may be taken over."
    )
    lease_renew_deadline: Duration = Field(
        10.0, gt=0, description="How long a leader tries to renew the lease; then it ends."
    )
    lease_retry_period: Duration = Field(
        2.0, gt=0, description="How often the lease is renewed, or acquiring it is tried."
    )

    resync_interval: Duration = Field(60.0, gt=0, description="How often all objects are listed again.")
    push_quiet: Duration = Field(0.05, gt=0, description="How long to wait for further changes after a change.")
    push_longest: Duration = Field(2.0, gt=0, description="Upper limit of that wait while changes continue.")
    push_heartbeat: Duration = Field(
        8.0, gt=0, le=20.0, description="How often a heartbeat is sent to the gateways (they wait for 30 s)."
    )

    transport: str = Field(EMBEDDED.name, description="Queue system of the actors.")
    run_actors: Switch = Field(
        True, description="Create Deployments for AsyncActors; false if Crossplane or another controller does."
    )
    delete_queues: Switch = Field(
        False, description="Delete an actor's queue, including waiting calls, when the actor is deleted."
    )
    actor_worker_secret: ObjectName = Field(
        "asya-transport", description="Secret whose keys are environment variables of actors, for access to the queues."
    )
    actor_service_account: ObjectName = Field("asya-actors", description="ServiceAccount of actor pods.")
    actor_run_as_user: int | None = Field(
        None, ge=1, description="User id of actor containers, for images that set none and would run as root."
    )
    actor_mesh_url: WebUrl = Field("", description="Base URL of the mesh routes for actors; empty means ASYA_MESH_URL.")
    actor_runtime_configmap: ObjectName = Field(
        "asya-runtime", description="ConfigMap with asya_runtime.py, for actors with a foreign sidecar."
    )

    @field_validator("transport")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return check_transport_name(value)

    @field_validator("mesh_url")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if not value:
            raise ValueError("expected http://host:port of the mesh Service")
        return value

    @model_validator(mode="after")
    def _lease_times_fit(self) -> Any:
        if not self.lease_retry_period * 2 <= self.lease_renew_deadline < self.lease_duration:
            raise ValueError(
                "ASYA_LEASE_RENEW_DEADLINE: expected 2 * ASYA_LEASE_RETRY_PERIOD <= it < ASYA_LEASE_DURATION, so that "
                "a leader ends itself before another one may begin"
            )
        return self

    @property
    def worker_mesh_url(self) -> str:
        """The base URL to which actors report."""
        return self.actor_mesh_url or self.mesh_url


def operator_settings() -> OperatorSettings:
    """Read the settings from the environment. Raises SettingsError."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        raise SettingsError(explained(error, OperatorSettings)) from None
