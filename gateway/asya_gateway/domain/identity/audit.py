"""What the audit records beside tasks, each of which records its own call."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from asya_crds import jsontext
from asya_gateway.domain.identity.principals import Asker, Program
from asya_gateway.domain.ids import new_task_id
from asya_gateway.telemetry.context import current_source

log = logging.getLogger("asya.audit")


class AuditEvent(StrEnum):
    """What happened."""

    REFUSED = "refused"
    """A request was refused: its credential was bad, or did not suffice."""
    ADMITTED = "admitted"
    """A principal was admitted, for the first time in this minute from this source."""
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    CLIENT_CREATED = "client_created"
    CLIENT_REVOKED = "client_revoked"
    GRANT_CREATED = "grant_created"
    GRANT_REVOKED = "grant_revoked"
    TASK_CANCELED = "task_canceled"
    TASK_ANSWERED = "task_answered"
    REGISTRY_PUSHED = "registry_pushed"
    PUSH_REGISTERED = "push_registered"
    """A caller named a URL that gets the changes of a task."""
    PUSH_REMOVED = "push_removed"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One row. `principal` is who acted, `via` how it proved who it is, `source` the address it acted from, `subject`
    what it acted on: a task's id, `key:<id>`, `grant:<id>`. `at` is a Unix time, None for the database's own.

    Never put a credential into any of them.
    """

    event: AuditEvent
    principal: str | None = None
    via: str | None = None
    source: str = ""
    subject: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    count: int = 1
    at: float | None = None
    id: str = field(default_factory=new_task_id)
    """Makes a repeated write recognisable."""


class AuditStore(Protocol):
    """The table of the audit. Raises Unavailable while the database is away."""

    async def write(self, records: Sequence[AuditRecord]) -> None:
        """Store records. Counts of the same refusal are added, and of the same admission one row stays."""


class Audit(Protocol):
    """Takes notes without making anybody wait. Everything here is called on the event loop."""

    def refused(self, reason: str, source: str) -> None:
        """A request was refused. `reason` comes from a bounded vocabulary."""

    def admitted(self, principal: str, via: str, source: str) -> None:
        """A principal was admitted."""

    def note(self, record: AuditRecord) -> None:
        """Anything else."""


class NoAudit:
    """Takes no notes."""

    def refused(self, reason: str, source: str) -> None:
        """Nothing."""

    def admitted(self, principal: str, via: str, source: str) -> None:
        """Nothing."""

    def note(self, record: AuditRecord) -> None:
        """Nothing."""


NO_AUDIT = NoAudit()


def done_by(event: AuditEvent, asker: Asker, subject: str) -> AuditRecord:
    """What an asker did, from where its current request came."""
    via = None if isinstance(asker, Program) else asker.via
    return AuditRecord(event, asker.owner, via, current_source(), subject)


def say(record: AuditRecord) -> None:
    """Log what a record says, as one line with the same content as its row. Call it once the row is stored."""
    log.info("audit: %s", record.event.value, extra=fields_of(record))


def fields_of(record: AuditRecord) -> dict[str, Any]:
    """What a record says, without what it leaves out, as members of a log line."""
    named = {
        "audit_id": record.id,
        "event": record.event.value,
        "principal": record.principal,
        "via": record.via,
        "source": record.source or None,
        "subject": record.subject,
        "reason": record.reason,
        "detail": jsontext.dumps(dict(record.detail)) if record.detail else None,
        "count": record.count if record.event is AuditEvent.REFUSED else None,
    }
    return {name: value for name, value in named.items() if value is not None}


def refusals(records: Iterable[AuditRecord]) -> tuple[list[AuditRecord], list[AuditRecord]]:
    """Refusals, which are counted, and the other records."""
    counted: list[AuditRecord] = []
    others: list[AuditRecord] = []
    for each in records:
        (counted if each.event is AuditEvent.REFUSED else others).append(each)
    return counted, others
