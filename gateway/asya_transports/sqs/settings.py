"""Settings of Amazon SQS. Times are in seconds. Credentials come from where every AWS client looks for them: variables,
files, the pod's identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from asya_crds.durations import parse_duration
from asya_transports.description import TransportSettingsError, Variable, whole_number

LARGEST_MESSAGE = 1024 * 1024
"""Bytes of a message with its attributes, and of all messages of one request (SQS Developer Guide, Message quotas)."""
SMALLEST_LIMIT = 8 * 1024
ATTRIBUTE_BYTES = 1024
"""Bytes of a message that our attributes may take."""

VISIBILITY_TIMEOUT = 30
LONGEST_VISIBILITY = 12 * 60 * 60
"""Seconds for which one receiver may hold a message at most, however often it renews (SQS Developer Guide)."""
LONG_VISIBILITY = 60
"""Seconds of a visibility timeout from which on a dead worker's messages are missing for long."""
LONGEST_NAME = 80
"""Characters of a queue's name (CreateQueue, QueueName)."""
LONGEST_DELAY = 900
"""Seconds that SQS delays a message at most (SendMessage, DelaySeconds)."""
LONGEST_WAIT = 20
"""Seconds of the longest poll that SQS accepts."""


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """The standard queues of one AWS account and region."""

    region: str = "us-east-1"
    endpoint: str = ""
    """URL of the service; empty for the region's own."""
    visibility_timeout: int = VISIBILITY_TIMEOUT
    """How long a dead consumer keeps its messages. A live one renews from a thread, so it need not cover the longest
    handler."""
    wait_time: int = LONGEST_WAIT
    """How long a poll waits for a message. A receiver that stops lets it end, because SQS counts what an aborted poll
    would have brought as delivered."""
    message_bytes: int = LARGEST_MESSAGE
    """Size of the largest message with its attributes."""
    request_timeout: float = 5.0
    """For the answer to a request that is not a poll."""
    connect_timeout: float = 3.0
    connections: int = 1000
    """At a time, opened when they are needed. Each poll of each receiver has one for up to `wait_time`; what must wait
    for one would look like an outage."""
    prefetch: int = 1

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "sqs"

    @property
    def max_message_bytes(self) -> int:
        """What SQS accepts, less our attributes."""
        return self.message_bytes - ATTRIBUTE_BYTES

    @property
    def place(self) -> str:
        """The region. The account is the credentials', which programs may have of different kinds."""
        return self.region


VARIABLES = (
    Variable("ASYA_SQS_REGION", "us-east-1", "AWS region of the queues; `ASYA_AWS_REGION` if it is not set."),
    Variable("ASYA_AWS_REGION", "us-east-1", "The same; sidecars use this variable."),
    Variable("ASYA_SQS_ENDPOINT", "", "URL of the service: a stand-in or a private endpoint; empty is the region's."),
    Variable(
        "ASYA_SQS_VISIBILITY_TIMEOUT",
        "30",
        "Lease of a received message in whole seconds, which a thread renews; a dead worker's messages are delivered "
        "again after it, so more than 60 is warned of. 0 is the default.",
    ),
    Variable(
        "ASYA_SQS_WAIT_TIME_SECONDS",
        "20",
        "How long a poll waits for messages, at most 20. A worker that stops waits until its last poll has ended.",
    ),
    Variable(
        "ASYA_SQS_MAX_MESSAGE_BYTES",
        str(LARGEST_MESSAGE),
        "Largest message with its attributes; a larger call is rejected before it is stored. 262144 in regions "
        "and stand-ins with the older limit.",
    ),
    Variable(
        "ASYA_SQS_PREFETCH", "1", "Number of messages that are taken at the same time, if the program does not set it."
    ),
)


def read_settings(environment: Mapping[str, str]) -> SqsSettings:
    """The settings from the environment. Raises TransportSettingsError."""
    return SqsSettings(
        region=_region(environment),
        endpoint=_endpoint(environment),
        visibility_timeout=_visibility(environment),
        wait_time=_whole_seconds(environment, "ASYA_SQS_WAIT_TIME_SECONDS", LONGEST_WAIT, least=1, most=LONGEST_WAIT),
        message_bytes=_message_bytes(environment),
        prefetch=whole_number(environment, "ASYA_SQS_PREFETCH", 1),
    )


def _region(environment: Mapping[str, str]) -> str:
    for name in ("ASYA_SQS_REGION", "ASYA_AWS_REGION"):
        if region := environment.get(name):
            if not (region.isascii() and region.replace("-", "").isalnum() and len(region) <= 63):
                raise TransportSettingsError(f"{name}: expected an AWS region like us-east-1, not {region[:40]!r}")
            return region
    return "us-east-1"


def _endpoint(environment: Mapping[str, str]) -> str:
    url = environment.get("ASYA_SQS_ENDPOINT", "")
    if url and not _is_endpoint(url):
        raise TransportSettingsError(
            "ASYA_SQS_ENDPOINT: expected an address like https://sqs.us-east-1.amazonaws.com, without credentials"
        )
    return url.rstrip("/")


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        place = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        return False
    return place and parts.scheme in ("http", "https") and "@" not in url and not parts.query and not parts.fragment


def _visibility(environment: Mapping[str, str]) -> int:
    name = "ASYA_SQS_VISIBILITY_TIMEOUT"
    found = _whole_seconds(environment, name, VISIBILITY_TIMEOUT, least=0, most=LONGEST_VISIBILITY)
    return found or VISIBILITY_TIMEOUT


def _whole_seconds(environment: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise TransportSettingsError(f"{name}: {error}") from None
    if value != int(value) or not least <= value <= most:
        raise TransportSettingsError(f"{name}: expected whole seconds from {least} to {most}, not {text[:40]!r}")
    return int(value)


def _message_bytes(environment: Mapping[str, str]) -> int:
    name = "ASYA_SQS_MAX_MESSAGE_BYTES"
    value = whole_number(environment, name, LARGEST_MESSAGE, most=LARGEST_MESSAGE)
    if value < SMALLEST_LIMIT:
        raise TransportSettingsError(f"{name}: expected at least {SMALLEST_LIMIT}, not {value}")
    return value
