"""Settings of the queues in PostgreSQL. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asya_transports.description import MEBIBYTE, TransportSettingsError, Variable, seconds, whole_number
from asya_transports.postgres.dsn import InvalidDsn, check_dsn

MAX_MESSAGE_BYTES = 128 * MEBIBYTE
"""Far below the limit of a column value (1 GiB), because a message is in memory several times."""


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Queues as rows of the gateway's own database."""

    url: str = field(repr=False)
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
    try:
        check_dsn(url)
    except InvalidDsn as error:
        raise TransportSettingsError(f"ASYA_DATABASE_URL: {error}") from None
    return PostgresSettings(
        url=url,
        visibility_timeout=seconds(environment, "ASYA_QUEUE_VISIBILITY_TIMEOUT", 15.0, least=1),
        prefetch=whole_number(environment, "ASYA_PREFETCH", 1),
    )
