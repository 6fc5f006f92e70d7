"""What everything done for one envelope carries: its task and trace in the logs, its trace in the reports."""

from collections.abc import Iterator
from contextlib import contextmanager

from asya_actor.telemetry.logs import logging_about
from asya_actor.telemetry.tracing import carrying, trace_id_of
from asya_crds.envelope import Envelope


@contextmanager
def working_on(envelope: Envelope) -> Iterator[None]:
    """Until the block ends, in the handler's thread too."""
    with logging_about(task_id=envelope.id, trace_id=trace_id_of(envelope.headers)), carrying(envelope.headers):
        yield
