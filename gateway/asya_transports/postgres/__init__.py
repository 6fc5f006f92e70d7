"""Queues as rows of PostgreSQL, and what the gateway's storage needs to write them in its own transactions."""

from asya_transports.postgres.enqueue import ENQUEUE_COLUMNS, ENQUEUE_TABLE, bell_channel, ring
from asya_transports.postgres.schema import create_schema
from asya_transports.postgres.transport import PostgresTransport

__all__ = ["ENQUEUE_COLUMNS", "ENQUEUE_TABLE", "PostgresTransport", "bell_channel", "create_schema", "ring"]
