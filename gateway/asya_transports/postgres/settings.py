"""Settings of the queues in PostgreSQL. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asya_transports.description import MEBIBYTE, TransportSettingsError, Variable, seconds, whole_number
from asya_transports.postgres.dsn import InvalidDsn, check_dsn

MAX_MESSAGE_BYTES = 128 * MEBIBYTE
"""Far below the limit of a column value (1 GiB), because a message is in memory several times."""

POOLING = ("session", "transaction")
"""What a pooler on the way to the database gives to one session of the server at a time, if there is one."""


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Queues as rows of the gateway's own database."""

    url: str = field(repr=False)
    direct_url: str = field(default="", repr=False)
    """Of the same database without a pooler that pools transactions, for the bell and leases; the same URL if empty."""
    pooled: bool = False
    """Whether `url` leads to such a pooler."""
    pool_size: int = 4
    """Connections for takes, answers and publishes; a receiver opens one more."""
    visibility_timeout: float = 15.0
    """How long a dead consumer keeps its messages. A live one renews three times in that time from a thread, so it need
    not cover the longest handler."""
    poll_interval: float = 1.0
    """Interval of the safety poll, which is also the precision of delayed messages."""
    publish_timeout: float = 5.0
    prefetch: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "postgres"

    @property
    def place(self) -> str:
        """Empty: a receipt is found only in the database that gave it."""
        return ""


VARIABLES = (
    Variable("ASYA_DATABASE_URL", "", "PostgreSQL DSN of the database with the queues. Required.", secret=True),
    Variable(
        "ASYA_DATABASE_POOLING",
        "session",
        "session, or transaction where the URL leads to a pooler that pools transactions (docs/operations.md).",
    ),
    Variable(
        "ASYA_DATABASE_DIRECT_URL",
        "",
        "DSN of the same database without such a pooler, for LISTEN and leases. Required with transaction.",
        secret=True,
    ),
    Variable(
        "ASYA_QUEUE_VISIBILITY_TIMEOUT",
        "15s",
        "Lease of a taken message, which a thread renews three times "
        "in that time; a dead worker's messages are delivered again after it.",
    ),
    Variable(
        "ASYA_PREFETCH", "1", "Number of messages that are taken at the same time, if the program does not set it."
    ),
)


def read_settings(environment: Mapping[str, str]) -> PostgresSettings:
    """The settings from the environment. Raises TransportSettingsError."""
    url = environment.get("ASYA_DATABASE_URL")
    if not url:
        raise TransportSettingsError("ASYA_DATABASE_URL: expected a PostgreSQL URL, since ASYA_TRANSPORT is postgres")
    direct = environment.get("ASYA_DATABASE_DIRECT_URL", "")
    for name, value in (("ASYA_DATABASE_URL", url), ("ASYA_DATABASE_DIRECT_URL", direct)):
        try:
            check_dsn(value) if value else None
        except InvalidDsn as error:
            raise TransportSettingsError(f"{name}: {error}") from None
    return PostgresSettings(
        url=url,
        direct_url=direct,
        pooled=_pooled(environment, direct),
        visibility_timeout=seconds(environment, "ASYA_QUEUE_VISIBILITY_TIMEOUT", 15.0, least=1),
        prefetch=whole_number(environment, "ASYA_PREFETCH", 1),
    )


def _pooled(environment: Mapping[str, str], direct: str) -> bool:
    pooling = environment.get("ASYA_DATABASE_POOLING") or "session"
    if pooling not in POOLING:
        raise TransportSettingsError(f"ASYA_DATABASE_POOLING: expected one of {', '.join(POOLING)}")
    if pooling == "transaction" and not direct:
        raise TransportSettingsError("ASYA_DATABASE_DIRECT_URL: required with ASYA_DATABASE_POOLING=transaction")
    return pooling == "transaction"
