"""Settings of RabbitMQ. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_to_bytes, urlsplit

from asya_crds.setting_types import check_listen_host
from asya_transports.description import MEBIBYTE, TransportSettingsError, Variable, whole_number

MAX_MESSAGE_BYTES = 128 * MEBIBYTE
"""The default of RabbitMQ 3. RabbitMQ 4 accepts 16 MiB unless its `max_message_size` is larger."""

CHANNELS = 2
"""Most channels for publishing; more are not faster (docs/decisions.md)."""


LONGEST_NAME = 255
"""Most bytes of an AMQP name."""


@dataclass(frozen=True, slots=True)
class RabbitSettings:
    """A RabbitMQ virtual host, 3.10 or newer."""

    url: str = field(repr=False)
    exchange: str = "asya"
    channels: int = CHANNELS
    """Channels for publishing. Each can have any number of outstanding publishes, so a few serve any load. The
    variable's default of 20 suits clients that wait for each confirmation."""
    publish_timeout: float = 5.0
    connect_timeout: float = 5.0
    prefetch: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "rabbitmq"

    @property
    def place(self) -> str:
        """Virtual host and exchange."""
        return f"{unquote(urlsplit(self.url).path[1:]) or '/'}/{self.exchange}"


VARIABLES = (
    Variable(
        "ASYA_RABBITMQ_URL",
        "",
        "AMQP URL, `amqps://` for TLS (docs/delivery.md has its parameters). Required, or `ASYA_RABBITMQ_HOST`.",
        secret=True,
    ),
    Variable("ASYA_RABBITMQ_HOST", "", "Host of the broker, if there is no URL; sidecars use the same variable."),
    Variable("ASYA_RABBITMQ_PORT", "5672", "Port of the broker, used with the host."),
    Variable("ASYA_RABBITMQ_USERNAME", "guest", "User, used with the host."),
    Variable("ASYA_RABBITMQ_PASSWORD", "guest", "Password, used with the host.", secret=True),
    Variable("ASYA_RABBITMQ_EXCHANGE", "asya", "Durable topic exchange that envelopes are published to."),
    Variable("ASYA_RABBITMQ_POOL_SIZE", "20", "Largest number of channels for publishing."),
    Variable(
        "ASYA_RABBITMQ_PREFETCH",
        "1",
        "Number of messages that are taken at the same time, if the program does not set it.",
    ),
    Variable(
        "ASYA_RABBITMQ_MAX_MESSAGE_BYTES",
        str(MAX_MESSAGE_BYTES),
        "The broker's `max_message_size`; a larger call is rejected before it is stored.",
    ),
)


def read_settings(environment: Mapping[str, str]) -> RabbitSettings:
    """The settings from the environment. Raises TransportSettingsError."""
    return RabbitSettings(
        url=_url(environment),
        exchange=_exchange(environment),
        channels=min(whole_number(environment, "ASYA_RABBITMQ_POOL_SIZE", 20), CHANNELS),
        prefetch=whole_number(environment, "ASYA_RABBITMQ_PREFETCH", 1),
        max_message_bytes=whole_number(environment, "ASYA_RABBITMQ_MAX_MESSAGE_BYTES", MAX_MESSAGE_BYTES),
    )


def _exchange(environment: Mapping[str, str]) -> str:
    name = environment.get("ASYA_RABBITMQ_EXCHANGE") or "asya"
    if not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise TransportSettingsError(
            f"ASYA_RABBITMQ_EXCHANGE: expected at most {LONGEST_NAME} printable characters, not {name[:40]!r}"
        )
    return name


def _url(environment: Mapping[str, str]) -> str:
    """The URL, or one built from the variables of existing sidecars."""
    url = environment.get("ASYA_RABBITMQ_URL")
    if url:
        return _checked(url)
    host = environment.get("ASYA_RABBITMQ_HOST")
    if not host:
        raise TransportSettingsError(
            "ASYA_RABBITMQ_URL: expected an AMQP URL (or ASYA_RABBITMQ_HOST), since ASYA_TRANSPORT is rabbitmq"
        )
    try:
        host = check_listen_host(host)
    except ValueError:
        raise TransportSettingsError(
            f"ASYA_RABBITMQ_HOST: expected a host name or an address, not {host[:40]!r}"
        ) from None
    host = f"[{host}]" if ":" in host else host
    port = whole_number(environment, "ASYA_RABBITMQ_PORT", 5672, most=65_535)
    user = quote(environment.get("ASYA_RABBITMQ_USERNAME") or "guest", safe="")
    password = quote(environment.get("ASYA_RABBITMQ_PASSWORD") or "guest", safe="")
    return f"amqp://{user}:{password}@{host}:{port}/"


def _checked(url: str) -> str:
    """The URL, if it is valid. Errors contain no part of it, because that might be a part of the password."""
    if not url.startswith(("amqp://", "amqps://")):
        raise TransportSettingsError("ASYA_RABBITMQ_URL: expected a URL that begins with amqp:// or amqps://")
    parts = _split(url)
    if parts is None or _cut_password(url, parts):
        raise TransportSettingsError(
            "ASYA_RABBITMQ_URL: expected amqp://user:password@host:port/vhost; special characters of user, password, "
            "virtual host and parameters are percent-encoded ('/' is %2F, '@' is %40, '#' is %23)"
        )
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _PARAMETERS:
            raise TransportSettingsError(
                f"ASYA_RABBITMQ_URL: the parameter {name[:40]} is not known here; expected {', '.join(_USED)}"
            )
        if name in _WHOLE_SECONDS and not (value.isascii() and value.isdigit() and len(value) <= 5):
            raise TransportSettingsError(f"ASYA_RABBITMQ_URL: the parameter {name}: expected whole seconds")
        if name == "auth" and value.lower() not in _MECHANISMS:
            raise TransportSettingsError(f"ASYA_RABBITMQ_URL: the parameter auth: expected {' or '.join(_MECHANISMS)}")
    if len(unquote_to_bytes(parts.path[1:])) > LONGEST_NAME:
        raise TransportSettingsError(f"ASYA_RABBITMQ_URL: expected a virtual host of at most {LONGEST_NAME} bytes")
    return url


def _split(url: str) -> SplitResult | None:
    """The parts of the URL, if host and port are valid."""
    try:
        parts = urlsplit(url)
        check_listen_host(parts.hostname or "")
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _cut_password(url: str, parts: SplitResult) -> bool:
    """Whether the parsed host and port may be the beginning of a user and a password that contains '/', '?' or '#'."""
    return "#" in url or "@" in parts.path or "@" in parts.query


_USED = ("cafile", "capath", "certfile", "keyfile", "no_verify_ssl", "auth", "heartbeat", "name")
_PARAMETERS = frozenset({*_USED, "timeout", "connection_timeout", "channel_max", "frame_max"})
"""With those of other clients' URLs that need not be followed: limits, which are our own here or the broker's."""
_WHOLE_SECONDS = ("heartbeat", "timeout")
"""Parameters that the driver reads as numbers when it connects."""

_MECHANISMS = ("plain", "external")
