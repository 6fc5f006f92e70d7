"""Pieces of SQL made from the domain's order of statuses, so that the order has one home."""

from collections.abc import Iterable

from asya_crds.status import RUNNABLE, TERMINAL, WAITING, TaskStatus


def _listed(statuses: Iterable[TaskStatus]) -> str:
    return "(" + ", ".join(f"'{status.value}'" for status in statuses) + ")"


ENDED = f"IN {_listed(TERMINAL)}"
"""`status {ENDED}`: nothing may follow."""

OPEN = f"NOT IN {_listed(TERMINAL)}"
"""`status {OPEN}`: the task may still end."""

MOVING = f"IN {_listed(RUNNABLE)}"
"""`status {MOVING}`: progress counts."""

ASKING = f"IN {_listed(WAITING)}"
"""`status {ASKING}`: the task waits for an answer."""
