"""The description of RabbitMQ."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from asya_crds.setting_types import check_object_name
from asya_transports.description import QueueLimits, TransportDescription, Trigger, TriggerSecret, Variable
from asya_transports.rabbitmq.delays import LONGEST_DELAY
from asya_transports.rabbitmq.settings import VARIABLES, read_settings

AUTHENTICATION = "ASYA_KEDA_RABBITMQ_AUTH"
MANAGEMENT = "ASYA_RABBITMQ_MANAGEMENT_URL"


def trigger(queue: str, length: int, variables: Mapping[str, str]) -> Trigger:
    """KEDA's rabbitmq trigger, with the management API if its address is configured.

    That API includes unacknowledged messages. AMQP reports only waiting ones, so that a busy worker with an empty queue
    looks idle. An installation with its own TriggerAuthentication, or without an address of the management API, keeps
    the AMQP trigger.
    """
    metadata = {"queueName": queue, "mode": "QueueLength", "value": str(length)}
    own = variables.get(AUTHENTICATION, "")
    if own or MANAGEMENT not in variables:
        return Trigger("rabbitmq", {**metadata, "protocol": "amqp"}, (TriggerSecret("host", "ASYA_RABBITMQ_URL"),), own)
    counted = {**metadata, "protocol": "http", "excludeUnacknowledged": "false"}
    return Trigger("rabbitmq", counted, (TriggerSecret("host", MANAGEMENT),))


def unseen_by_keda(variables: Mapping[str, str]) -> str:
    """What the AMQP trigger does not count."""
    steps = [f"set {MANAGEMENT}"] if MANAGEMENT not in variables else []
    steps += [f"unset {AUTHENTICATION}"] if variables.get(AUTHENTICATION) else []
    if not steps:
        return ""
    cure = " and ".join(steps)
    return f"KEDA counts waiting messages only, so it may stop workers that are busy with the last ones: {cure}"


def _check_management_url(value: str) -> None:
    """Raises ValueError without any part of the URL, because it contains a password."""
    if not _is_management_url(value):
        raise ValueError("expected http://user:password@host:15672/vhost, with special characters percent-encoded")


def _is_management_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return place and parts.scheme in ("http", "https") and "#" not in value and "@" not in parts.path + parts.query


DESCRIPTION = TransportDescription(
    name="rabbitmq",
    variables=VARIABLES,
    read=read_settings,
    transport="asya_transports.rabbitmq.transport:RabbitTransport",
    trigger=trigger,
    limits=QueueLimits(longest_delay=LONGEST_DELAY),
    drivers=("aiormq", "pamqp"),
    extra="rabbitmq",
    advice="Set ASYA_RABBITMQ_URL to a running broker such as amqp://guest:guest@localhost:5672",
    operator_variables=(
        Variable(
            AUTHENTICATION,
            "",
            "Name of an existing TriggerAuthentication for KEDA's rabbitmq trigger, with an "
            "AMQP URL as `host`; if empty, one is created for each actor.",
            check=check_object_name,
        ),
        Variable(
            MANAGEMENT,
            "",
            "Management API for KEDA: http://user:password@host:15672/vhost (the virtual host `/` is `%2F`). "
            "With it, scaling also counts messages that workers "
            "hold; the key is in the actors' Secret.",
            secret=True,
            check=_check_management_url,
        ),
    ),
    unseen_by_keda=unseen_by_keda,
    shared=("ASYA_RABBITMQ_EXCHANGE",),
)
