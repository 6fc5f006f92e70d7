"""Ids of tasks, by which anonymous callers find theirs again."""

import re
import time

import pytest

from asya_gateway.domain.ids import ids_since, new_task_id

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_nobody_can_guess_an_id_from_others_of_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9562, 5.7: 48 bits of time, and 74 random bits of which each takes both values."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    ids = [new_task_id() for _ in range(2000)]
    assert all(UUID7.fullmatch(each) for each in ids)
    assert len(set(ids)) == len(ids)
    assert len({each[:15] for each in ids}) == 1
    values = [int(each.replace("-", ""), 16) for each in ids]
    ever, always = 0, (1 << 128) - 1
    for value in values:
        ever, always = ever | value, always & value
    assert (ever & ~always).bit_count() == 74


def test_ids_are_compared_with_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now - 601 * 1_000_000_000)
    old = new_task_id()
    monkeypatch.setattr(time, "time_ns", lambda: now - 599 * 1_000_000_000)
    young = new_task_id()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    assert old < ids_since(600) < young
