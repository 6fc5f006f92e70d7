"""The notes of the audit: counted, bounded, and never waited for."""

import logging
from collections.abc import Sequence

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord
from asya_gateway.identity import auditing
from asya_gateway.identity.auditing import AuditTrail
from tests.support.waiting import until

NOON = 1_800_000_000.0 // 60 * 60


class Table:
    """Keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.rows: list[AuditRecord] = []
        self.error: Exception | None = None

    async def write(self, records: Sequence[AuditRecord]) -> None:
        if self.error is not None:
            raise self.error
        self.rows += records

    @property
    def counts(self) -> list[tuple[str, str | None, int]]:
        return [(row.source, row.reason, row.count) for row in self.rows]


class World:
    def __init__(self, **changes: int | float) -> None:
        self.table, self.now = Table(), NOON
        self.trail = AuditTrail(self.table, lambda: self.now, **changes)  # type: ignore[arg-type]


async def test_the_first_refusal_is_written_at_once_and_the_others_when_the_minute_is_over() -> None:
    world = World()
    for _ in range(3):
        world.trail.refused("bad key", "1.2.3.4")
    await world.trail.write()
    world.trail.refused("bad key", "1.2.3.4")
    world.trail.refused("bad key", "5.6.7.8")
    await world.trail.write()
    assert world.table.counts == [("1.2.3.4", "bad key", 3), ("5.6.7.8", "bad key", 1)]
    world.now += 60
    await world.trail.write()
    assert world.table.counts[2:] == [("1.2.3.4", "bad key", 1)]
    assert {row.at for row in world.table.rows} == {NOON}
    assert {row.event for row in world.table.rows} == {AuditEvent.REFUSED}
    await world.trail.write()
    assert len(world.table.rows) == 3


async def test_refusals_of_too_many_sources_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_PAIRS", 2)
    world = World()
    for number in range(5):
        world.trail.refused("bad key", f"1.2.3.{number}")
    await world.trail.write()
    assert world.table.counts == [("1.2.3.0", "bad key", 1), ("1.2.3.1", "bad key", 1), ("*", "bad key", 3)]


async def test_only_the_first_success_of_a_principal_and_source_in_a_minute_is_noted() -> None:
    world = World()
    for _ in range(2):
        for _ in range(3):
            world.trail.admitted("key:ci", "key", "1.2.3.4")
            world.trail.admitted("key:ci", "key", "5.6.7.8")
        await world.trail.write()
        world.now += 60
    assert [(row.principal, row.via, row.source, row.at) for row in world.table.rows] == [
        ("key:ci", "key", "1.2.3.4", NOON),
        ("key:ci", "key", "5.6.7.8", NOON),
        ("key:ci", "key", "1.2.3.4", NOON + 60),
        ("key:ci", "key", "5.6.7.8", NOON + 60),
    ]


async def test_successes_of_too_many_pairs_are_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_PAIRS", 1)
    world = World()
    for number in range(3):
        world.trail.admitted(f"key:{number}", "key", "1.2.3.4")
    assert (world.trail.waiting, world.trail.lost) == (1, 2)


async def test_records_beyond_the_limit_are_lost_and_counted_but_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="asya.audit")
    world = World(most_waiting=2)
    for number in range(5):
        world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED, "key:ci", subject=f"t{number}"))
    for _ in range(2):
        world.trail.refused("bad key", "1.2.3.4")
    await world.trail.write()
    assert (len(world.table.rows), world.trail.lost) == (2, 4)
    assert len(caplog.records) == 6


async def test_what_cannot_be_stored_now_is_stored_later_in_its_order() -> None:
    world = World()
    world.table.error = Unavailable("away")
    world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED, subject="first"))
    world.trail.refused("bad key", "1.2.3.4")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.trail.write()
    world.table.error = None
    world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED, subject="last"))
    await world.trail.write()
    assert [row.subject for row in world.table.rows] == ["first", None, "last"]
    assert world.trail.lost == 0


async def test_a_record_that_cannot_be_stored_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.table.error = ValueError("no such text")
    world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED))
    await world.trail.write()
    assert world.trail.lost == 1
    assert "1 records of the audit cannot be stored" in caplog.text
    world.table.error = None
    world.trail.note(AuditRecord(AuditEvent.TASK_ANSWERED))
    await world.trail.write()
    assert [row.event for row in world.table.rows] == [AuditEvent.TASK_ANSWERED]


async def test_batches_are_bounded_and_written_while_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "BATCH", 2)
    world = World(write_every=0.001)
    for number in range(5):
        world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED, subject=str(number)))
    await world.trail.start()
    try:
        await until(lambda: len(world.table.rows) == 5)
    finally:
        await world.trail.stop()


async def test_what_is_left_is_written_at_the_end() -> None:
    world = World(write_every=3600)
    await world.trail.start()
    world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED))
    world.trail.refused("bad key", "1.2.3.4")
    await world.trail.write()
    world.trail.refused("bad key", "1.2.3.4")
    await world.trail.stop()
    await world.trail.stop()
    assert world.table.counts == [("", None, 1), ("1.2.3.4", "bad key", 1), ("1.2.3.4", "bad key", 1)]


async def test_the_end_waits_for_no_database(caplog: pytest.LogCaptureFixture) -> None:
    world = World(write_every=0.001)
    world.table.error = Unavailable("away")
    caplog.set_level(logging.INFO, logger=auditing.__name__)
    await world.trail.start()
    world.trail.note(AuditRecord(AuditEvent.TASK_CANCELED))
    await until(lambda: "the database is not available; 1 records wait" in caplog.text)
    await world.trail.stop()


async def test_a_log_line_says_what_the_row_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="asya.audit")
    world = World()
    given = AuditRecord(
        AuditEvent.TASK_ANSWERED, "user:a:1", "oauth", "1.2.3.4", "t1", detail={"owner": "key:ci"}, id="one"
    )
    world.trail.note(given)
    [line] = caplog.records
    assert line.message == "audit: task_answered"
    said = {"audit_id", "event", "principal", "via", "source", "subject", "detail", "reason", "count"}
    assert {name: value for name, value in vars(line).items() if name in said} == {
        "audit_id": "one",
        "event": "task_answered",
        "principal": "user:a:1",
        "via": "oauth",
        "source": "1.2.3.4",
        "subject": "t1",
        "detail": '{"owner":"key:ci"}',
    }
