"""The context of work on one envelope: its task, flow and trace in the logs, its trace in the reports."""

from collections.abc import Iterator
from contextlib import contextmanager

from asya_actor.telemetry.logs import logging_about
from asya_actor.telemetry.tracing import carrying, trace_id_of
from asya_crds.envelope import Envelope
from asya_crds.naming import HEADER_FLOW


@contextmanager
def working_on(envelope: Envelope) -> Iterator[None]:
    """Set the context until the block ends, also in the handler's thread."""
    flow = envelope.headers.get(HEADER_FLOW)
    where = {
        "task_id": envelope.id,
        "flow": flow if isinstance(flow, str) else None,
        "trace_id": trace_id_of(envelope.headers),
    }
    with logging_about(**where), carrying(envelope.headers):
        yield
