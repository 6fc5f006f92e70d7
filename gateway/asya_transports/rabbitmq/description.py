"""RabbitMQ, as programs know it before they connect."""

from collections.abc import Mapping

from asya_transports.description import SecretKey, TransportDescription, Trigger, Variable
from asya_transports.rabbitmq.settings import VARIABLES, read_settings

AUTHENTICATION = "ASYA_KEDA_RABBITMQ_AUTH"


def trigger(queue: str, length: int, variables: Mapping[str, str]) -> Trigger:
    """KEDA's rabbitmq trigger."""
    metadata = {"queueName": queue, "mode": "QueueLength", "value": str(length), "protocol": "amqp"}
    return Trigger("rabbitmq", metadata, (SecretKey("host", "ASYA_RABBITMQ_URL"),), variables.get(AUTHENTICATION, ""))


DESCRIPTION = TransportDescription(
    name="rabbitmq",
    variables=VARIABLES,
    read=read_settings,
    transport="asya_transports.rabbitmq.transport:RabbitTransport",
    trigger=trigger,
    drivers=("aiormq", "pamqp"),
    extra="rabbitmq",
    operator_variables=(
        Variable(
            AUTHENTICATION,
            "",
            "TriggerAuthentication for KEDA's rabbitmq trigger; one per actor is expected where empty.",
        ),
    ),
    shared=("ASYA_RABBITMQ_EXCHANGE",),
)
