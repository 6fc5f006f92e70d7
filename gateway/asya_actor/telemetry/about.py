"""The context of work on one envelope: its task, flow and trace in the logs, its trace in the reports."""

from collections.abc import Iterator
from contextlib import contextmanager

from asya_actor.telemetry.logs import log_about, logging_about
from asya_actor.telemetry.tracing import carry, carrying, trace_id_of
from asya_crds.envelope import Envelope
from asya_crds.naming import HEADER_FLOW


@contextmanager
def working_on(envelope: Envelope) -> Iterator[None]:
    """Set the context until the block ends, also in the handler's thread."""
    with logging_about(**_about(envelope)), carrying(envelope.headers):
        yield


def work_on(envelope: Envelope) -> None:
    """Set the context of the current asyncio task until its end, also in the handler's thread."""
    log_about(_about(envelope))
    carry(envelope.headers)


def _about(envelope: Envelope) -> dict[str, str]:
    found = {"task_id": envelope.id}
    flow, trace = envelope.headers.get(HEADER_FLOW), trace_id_of(envelope.headers)
    if isinstance(flow, str) and flow:
        found["flow"] = flow
    if trace is not None:
        found["trace_id"] = trace
    return found
