"""What each queue system has to be told, and how the programs' common environment variables say it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

MAX_MESSAGE_BYTES = 128 * 1024 * 1024
"""RabbitMQ's own default limit for one message; the other queue systems hold themselves to it too."""

CHANNELS = 2
"""Channels that publishes are spread over at most; more do no better (docs/decisions.md)."""


class SettingsError(ValueError):
    """A variable is missing or makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Queues as rows of the gateway's own database. Times are seconds."""

    url: str
    pool_size: int = 4
    """Connections for takes, answers and publishes together; one more is opened by whoever receives."""
    visibility_timeout: float = 15.0
    """How long a dead consumer keeps its messages. A living one renews three times in that time, from a thread,
    so it needs not cover the longest handler."""
    poll_interval: float = 1.0
    """The safety poll under the bell, which is also how punctual a delayed message is."""
    publish_timeout: float = 5.0
    prefetch: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "postgres"


@dataclass(frozen=True, slots=True)
class RabbitSettings:
    """A RabbitMQ virtual host, 3.10 or newer. Times are seconds."""

    url: str
    exchange: str = "asya"
    channels: int = CHANNELS
    """Channels that publishes are spread over. Each has any number of publishes outstanding, so a few serve any
    load; the variable's default of 20 belongs to clients that wait for each confirm."""
    publish_timeout: float = 5.0
    connect_timeout: float = 5.0
    prefetch: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "rabbitmq"


TransportSettings = PostgresSettings | RabbitSettings


def transport_settings(environment: Mapping[str, str] = os.environ) -> TransportSettings:
    """Read `ASYA_TRANSPORT` and the variables of the transport that it names (docs/settings.md).

    Raises SettingsError, naming the variable.
    """
    name = environment.get("ASYA_TRANSPORT") or "postgres"
    match name:
        case "postgres":
            return _postgres(environment)
        case "rabbitmq":
            return _rabbitmq(environment)
        case _:
            raise SettingsError(f"ASYA_TRANSPORT is {name!r}; this program knows postgres and rabbitmq")


def _postgres(environment: Mapping[str, str]) -> PostgresSettings:
    url = environment.get("ASYA_DATABASE_URL")
    if not url:
        raise SettingsError("ASYA_DATABASE_URL is required with ASYA_TRANSPORT=postgres")
    return PostgresSettings(url=url, prefetch=_positive(environment, "ASYA_PREFETCH", 1))


def _rabbitmq(environment: Mapping[str, str]) -> RabbitSettings:
    pool_size = _positive(environment, "ASYA_RABBITMQ_POOL_SIZE", 20)
    return RabbitSettings(
        url=_rabbitmq_url(environment),
        exchange=environment.get("ASYA_RABBITMQ_EXCHANGE") or "asya",
        channels=min(pool_size, CHANNELS),
        prefetch=_positive(environment, "ASYA_RABBITMQ_PREFETCH", 1),
    )


def _rabbitmq_url(environment: Mapping[str, str]) -> str:
    """The URL, or one made of the parts that existing sidecars are given."""
    url = environment.get("ASYA_RABBITMQ_URL")
    if url:
        if not url.startswith(("amqp://", "amqps://")):
            raise SettingsError("ASYA_RABBITMQ_URL must begin with amqp:// or amqps://")
        return url
    host = environment.get("ASYA_RABBITMQ_HOST")
    if not host:
        raise SettingsError("ASYA_RABBITMQ_URL or ASYA_RABBITMQ_HOST is required with ASYA_TRANSPORT=rabbitmq")
    port = _positive(environment, "ASYA_RABBITMQ_PORT", 5672)
    user = quote(environment.get("ASYA_RABBITMQ_USERNAME") or "guest", safe="")
    password = quote(environment.get("ASYA_RABBITMQ_PASSWORD") or "guest", safe="")
    return f"amqp://{user}:{password}@{host}:{port}/"


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number of at least 1")
    return int(text)
