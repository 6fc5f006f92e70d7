"""The description of the queues in PostgreSQL."""

from collections.abc import Mapping

from asya_transports.description import TransportDescription, Trigger, TriggerSecret
from asya_transports.postgres.settings import VARIABLES, read_settings

COUNT = "SELECT count(*) FROM queue_messages WHERE queue = '{queue}'"
"""Counts waiting, delayed and taken messages: a row stays until it is acknowledged, so a busy worker is counted."""


def trigger(queue: str, length: int, variables: Mapping[str, str]) -> Trigger:
    """KEDA's postgresql trigger. The queue's name contains no quote, because namespace and actor are DNS labels."""
    metadata = {"query": COUNT.format(queue=queue), "targetQueryValue": str(length)}
    return Trigger("postgresql", metadata, (TriggerSecret("connection", "ASYA_DATABASE_URL"),))


DESCRIPTION = TransportDescription(
    name="postgres",
    variables=VARIABLES,
    read=read_settings,
    transport="asya_transports.postgres.transport:PostgresTransport",
    trigger=trigger,
    in_database=True,
)
