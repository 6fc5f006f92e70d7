"""The settings of the gateway, those of authentication included (auth.py)."""

import os
import socket
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from asya_crds.durations import Duration
from asya_crds.setting_types import (
    AllowedHost,
    ListenHost,
    Namespace,
    Origin,
    Switch,
    VisibleName,
    WebUrl,
    split_commas,
)
from asya_gateway.settings.a2a import A2aSettings
from asya_gateway.settings.auth import AuthSettings
from asya_gateway.settings.limits import LimitSettings
from asya_gateway.settings.outbound import OutboundSettings
from asya_gateway.settings.sealing import SealSettings
from asya_transports.description import TransportSettings
from asya_transports.known import EMBEDDED, check_transport_name, transport_settings
from asya_transports.postgres.dsn import check_dsn


class Mode(StrEnum):
    """Which routes a process serves."""

    API = "api"
    MESH = "mesh"
    TESTING = "testing"


class LogLevel(StrEnum):
    """The levels of Python's logging, in lower case."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Origins = Annotated[list[Origin], NoDecode]
Hosts = Annotated[list[AllowedHost], NoDecode]
MIB = 1024 * 1024


class Settings(AuthSettings, LimitSettings, OutboundSettings, SealSettings, A2aSettings):
    """The gateway's settings, read from variables that begin with ASYA_ (a test compares docs/settings.md with this
    class)."""

    # Variables of a transport may also be given by keyword. They are not fields here, because they belong to the
    # transport.
    model_config = SettingsConfigDict(env_prefix="ASYA_", extra="allow", frozen=True)

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords, then variables. The source of a file `.env` goes through every field again, also without a file."""
        return init_settings, env_settings

    gateway_mode: Mode = Field(description="Which routes to serve: api, mesh or testing (both). Required.")
    gateway_host: ListenHost = Field(
        "0.0.0.0",  # noqa: S104 # nosec B104 # a pod serves its own address; tests say 127.0.0.1
        description="Address to listen on.",
    )
    gateway_port: int = Field(8080, ge=0, le=65535, description="Port of the routes; 0 takes a free one.")
    metrics_port: int = Field(
        9090, ge=0, le=65535, description="Port of /metrics, separate from the routes for callers."
    )
    log_level: LogLevel = Field(LogLevel.INFO, description="Lowest level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="json, or text for a terminal.")
    pod_name: VisibleName = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        description="Name of this process in gateway_pods and logs; a Deployment sets it from metadata.name.",
    )
    namespace: Namespace = Field("default", description="Namespace in the names of queues: asya-{namespace}-{actor}.")

    database_url: str = Field("", repr=False, description="PostgreSQL DSN (15 or newer). Required.")
    database_pooling: Literal["session", "transaction"] = Field(
        "session",
        description="session, or transaction where the URL leads to a pooler that pools transactions "
        "(docs/operations.md).",
    )
    database_direct_url: str = Field(
        "",
        repr=False,
        description="DSN of the same database without such a pooler, for LISTEN and migrations. Required with "
        "transaction.",
    )
    db_max_conns: int = Field(
        10,
        ge=2,
        le=200,
        description="Largest number of pooled connections of one process, half of them (at most six) for the "
        "statements of every task.",
    )
    db_min_conns: int = Field(2, ge=0, le=200, description="Connections kept open when idle.")
    db_statement_timeout: Duration = Field(
        10.0,
        gt=0,
        description="Longest time that a statement may run; if the database hangs, callers get 503 soon after.",
    )

    config_path: str = Field("", description="flows.yaml, or a folder of *.yaml: the mounted ConfigMap gateway-flows.")
    config_poll_interval: Duration = Field(10.0, gt=0, description="How often the mounted file is checked.")

    transport: str = Field(
        EMBEDDED.name, description="Queue system that carries envelopes; postgres is the embedded default."
    )
    claim_lease: Duration = Field(
        15.0,
        ge=1,
        description="How long a claim is valid without renewal (a worker renews it "
        "three times in that time); then another worker may run the hop.",
    )

    mesh_url: WebUrl = Field("", description="Base URL at which actors reach the mesh routes; written into envelopes.")
    public_url: WebUrl = Field("", description="Base URL at which callers reach the api routes; used in links.")
    allowed_origins: Origins = Field(
        default_factory=list,
        description="Allowed origins of web pages, comma separated; loopback pages are allowed on loopback addresses.",
    )
    allowed_hosts: Hosts = Field(
        default_factory=list,
        description="Host headers to accept besides loopback, public and pod names; '*' accepts all.",
    )

    default_timeout: Duration = Field(
        86_400.0,
        gt=0,
        description="Deadline of a task whose flow has no timeout.",
    )
    max_pause: Duration = Field(
        30 * 86_400.0,
        gt=0,
        description="Longest time that a question waits for its answer, if the flow does not set it; then the "
        "task fails.",
    )
    child_grace: Duration = Field(
        300.0,
        description="How long a child of an existing sidecar may send no "
        "report after its parent's success; then it is canceled with code end_not_reported. Also how long a task waits "
        "for another final report after one that arrived incompletely; then it fails with code result_incomplete.",
    )
    max_open_tasks_per_owner: int = Field(
        0, ge=0, description="Largest number of open calls of one owner; a further call gets 429. 0 means no cap."
    )
    max_open_tasks_per_flow: int = Field(
        0, ge=0, description="Largest number of open calls of one flow; a further call gets 429. 0 means no cap."
    )
    mcp_max_wait: Duration = Field(
        300.0,
        gt=0,
        description="Longest time that a blocking MCP call waits; then its response says that the task is "
        "still running.",
    )
    mcp_task_grace: Duration = Field(
        1.0,
        ge=0,
        description="How long an MCP call waits for its result before a client that can poll gets a task.",
    )
    mcp_task_tools: Switch = Field(
        False,
        description="Offer `task_get`, `task_answer` and `task_cancel` as MCP tools, for clients without MCP tasks.",
    )
    mcp_progress_interval: Duration = Field(
        10.0,
        gt=0,
        le=15,
        description="Longest time without a progress notification on an MCP call that has a progressToken.",
    )
    mcp_link_results_above: int = Field(
        0,
        ge=0,
        description="Bytes above which a tool's result, if the tool has no outputSchema, goes to MCP clients as a "
        "preview and a link to the whole; 0 means always whole.",
    )
    rest_max_wait: Duration = Field(60.0, ge=0, description="Upper limit of `Prefer: wait=N`.")
    max_call_bytes: int = Field(10 * MIB, ge=1024, description="Largest body of a call or an answer.")
    max_report_bytes: int = Field(1 * MIB, ge=1024, description="Largest body of a progress report.")
    max_final_bytes: int = Field(10 * MIB, ge=1024, description="Largest body of a final report.")
    max_fly_bytes: int = Field(1 * MIB, ge=1024, description="Largest body of a live event.")
    memory_budget: int = Field(
        0,
        ge=0,
        description="Bytes of memory for a process's bodies and queues; 0 means 33 % of the container's memory.",
    )
    max_streams: int = Field(
        10_000,
        ge=1,
        description="Largest number of requests held open by one process (streams, blocking calls, `Prefer: "
        "wait`); a further one gets 503.",
    )
    keepalive_interval: Duration = Field(15.0, gt=0, description="How often an idle stream gets a comment.")
    stream_write_timeout: Duration = Field(
        30.0,
        gt=0,
        description="How long a reader may accept no data; then it is disconnected.",
    )
    drain_timeout: Duration = Field(25.0, ge=0, description="How long open requests may continue after SIGTERM.")
    drain_delay: Duration = Field(
        0.0,
        ge=0,
        description="How long requests are accepted after SIGTERM, until the pod is removed from the endpoints.",
    )

    batch_rows: int = Field(256, ge=1, le=10_000, description="Largest number of writes that are committed together.")
    batch_bytes: int = Field(4 * MIB, ge=1024, description="Largest number of bytes that are committed together.")
    waiting_rows: int = Field(
        20_000,
        ge=1,
        description="Largest number of writes that may wait; beyond it callers get 503, and reports of workers and "
        "sidecars wait until there are fewer.",
    )
    waiting_bytes: int = Field(
        256 * MIB,
        ge=1024,
        description="Largest number of bytes of calls that may wait; beyond it callers get 503. Reports wait for room "
        "in the memory budget instead.",
    )

    retention_tasks: Duration = Field(90 * 86_400.0, description="How long finished tasks are kept.")
    retention_updates: Duration = Field(30 * 86_400.0, description="How long updates of finished tasks are kept.")
    retention_audit: Duration = Field(
        90 * 86_400.0,
        description="How long rows of the audit are kept, and API keys after they were revoked or have expired.",
    )

    otel_enabled: Switch = Field(
        False, description="Send traces by OTLP (needs the extra `telemetry`; OTEL_* variables apply)."
    )

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _is_dsn(cls, value: str) -> str:
        return check_dsn(value) if value else value

    @field_validator("transport")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return check_transport_name(value)

    @model_validator(mode="after")
    def _listens_directly(self) -> Self:
        if self.database_pooling == "transaction" and not self.database_direct_url:
            raise ValueError("ASYA_DATABASE_DIRECT_URL: required with ASYA_DATABASE_POOLING=transaction")
        return self

    @property
    def queues(self) -> TransportSettings:
        """How to reach the queue system, from the same variables that workers read. Raises SettingsError."""
        given = {f"ASYA_{name.upper()}": str(value) for name, value in (self.model_extra or {}).items()}
        known = {
            "ASYA_TRANSPORT": self.transport,
            "ASYA_DATABASE_URL": self.database_url,
            "ASYA_DATABASE_POOLING": self.database_pooling,
            "ASYA_DATABASE_DIRECT_URL": self.database_direct_url,
        }
        return transport_settings({**os.environ, **given, **known})

    @field_validator("allowed_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)
