"""What a client saw beside what the database has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.records import Record, mark_of

READERS = frozenset({"read", "read so far", "watched", "watched so far", "polled", "told"})
"""The events of which the log is needed."""
NEVER_WAS = ("404 ", '"code":-32', '"code": -32')
"""One of these is in each answer about a task that never was."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of the database by the ids of tasks: `tasks` with status, owner and the `n` of their payload, `logs` with
    what their entries have, each a list in order."""

    tasks: Mapping[str, Any]
    logs: Mapping[str, Any]


def contradictions(record: Record, found: Found) -> Iterable[str]:
    """What is wrong with a record, in words."""
    status = found.tasks[record.task]["status"] if record.task in found.tasks else ""
    match record.event:
        case "wrong":
            yield f"{record.kind} {record.number} {record.task}: {record.status}"
        case "accepted" if record.owner and (owner := found.tasks[record.task]["owner"]) != f"key:{record.owner}":
            yield f"{record.task}: a call of {record.owner} was accepted for {owner}"
        case "ended" if record.task and record.status != status:
            yield f"{record.task}: a client was told that it is {record.status}, and it is {status}"
        case "canceled" if record.status != "canceled" or status != "canceled":
            yield f"{record.task}: its cancel was acknowledged, and it is {status}"
        case "saw":
            yield from _foreign(record, found)
        case "asked":
            yield from _answers_to_strangers(record, found)
        case event if event in READERS:
            yield from _views(record, found.logs.get(record.task))
        case _:
            pass


def _views(record: Record, log: Any) -> Iterable[str]:
    """What a follower saw is the log, or a part of it without a gap."""
    seqs: Sequence[int] = log["seqs"] if log else []
    statuses: Sequence[str] = log["statuses"] if log else []
    seen = len(record.seqs)
    match record.event:
        case "read" if list(record.seqs) != seqs or list(record.statuses) != statuses:
            yield f"{record.task}: a reader saw {record.seqs} {record.statuses}, the log is {seqs}"
        case "read so far" if list(record.seqs) != seqs[:seen] or list(record.statuses) != statuses[:seen]:
            yield f"{record.task}: a reader saw {record.seqs} {record.statuses} and left, the log is {seqs}"
        case "watched" if not record.seqs or list(record.seqs) != seqs[record.seqs[0] - 1 :]:
            yield f"{record.task}: a watcher saw {record.seqs}, the log is {seqs}"
        case "watched so far" if record.seqs and list(record.seqs) != _from(seqs, record.seqs[0], seen):
            yield f"{record.task}: a watcher saw {record.seqs} and left, the log is {seqs}"
        case "polled" if not _in_order([{status} for status in record.statuses], [{each} for each in statuses]):
            yield f"{record.task}: a client found {record.statuses} one after the other, the log is {statuses}"
        case "told" if not _in_order([{text} for text in record.statuses], _texts(log)):
            yield f"{record.task}: a client was told {record.statuses}, the log is {_texts(log)}"
        case _:
            pass


def _from(seqs: Sequence[int], first: int, count: int) -> list[int]:
    return list(seqs[first - 1 : first - 1 + count])


def _texts(log: Any) -> list[set[str]]:
    """Those that an entry may have in words: its message, its actor's state, or its status."""
    if not log:
        return []
    return [{*filter(None, texts)} for texts in zip(log["messages"], log["states"], log["statuses"], strict=True)]


def _in_order(seen: Iterable[set[str]], entries: Iterable[set[str]]) -> bool:
    """Whether each thing that was seen is in an entry behind that of the one before."""
    rest = iter(entries)
    return all(any(each & entry for entry in rest) for each in seen)


def _foreign(record: Record, found: Found) -> Iterable[str]:
    """A client gets marks and ids of its own call only."""
    own = mark_of(record.owner, record.number)
    if strange := [mark for mark in record.marks if mark != own]:
        yield f"{record.kind} {record.number} of {record.owner} got payloads of others: {strange}"
    for id in record.ids:
        task = found.tasks.get(id)
        if task is None:
            continue  # the id of something else
        if task["owner"] != f"key:{record.owner}":
            yield f"{record.kind} {record.number} of {record.owner} got the id of a task of {task['owner']}: {id}"
        elif not (task["n"] == own or str(task["n"]).startswith(f"{own}.")):
            yield f"{record.kind} {record.number} of {record.owner} got the id of another call: {id} of {task['n']}"


def _answers_to_strangers(record: Record, found: Found) -> Iterable[str]:
    """Who asks for a task of somebody else is told what is told of one that never was."""
    foreign, unknown = record.statuses
    if found.tasks[record.task]["owner"] == f"key:{record.owner}":
        yield f"{record.task} belongs to {record.owner}, who asked for it as a stranger"
    if foreign != unknown:
        yield f"{record.task}: a stranger was told {foreign!r}, and of a task that never was {unknown!r}"
    elif not any(each in unknown for each in NEVER_WAS):
        yield f"{record.task}: a stranger was told {foreign!r}"
