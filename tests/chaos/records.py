"""What the clients of a chaos run saw, one JSON line each. The checker reads these and the database, never the
gateway."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_MARK = re.compile(r"mark-[a-z]+-\d+")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mark_of(owner: str, number: int) -> str:
    """What the payload of a call has in it, and the payload of no other."""
    return f"mark-{owner}-{number}"


def marks_in(text: str) -> set[str]:
    """The marks of whatever calls."""
    return set(_MARK.findall(text))


def ids_in(text: str) -> set[str]:
    """The ids of tasks, and of whatever has ids of the same form."""
    return set(_ID.findall(text))


@dataclass(frozen=True, slots=True)
class Record:
    """One observation of the client that made the call `number` for this `owner` ("" at an open gateway).

    `event` is one of

    - `accepted`: the gateway said that it has the `task`;
    - `ended`: the client saw the task's end, with its `status`;
    - `canceled`: a cancel was acknowledged; `answered`: an answer to a question was;
    - `read`: a stream's updates, `seqs` and `statuses`, from the first to the last; `read so far`: the same of a stream
      whose reader left before its end; `watched` and `watched so far`: those from an entry on, without their statuses;
    - `polled`: the `statuses` that one question after the other found, without repetitions;
    - `told`: the texts of a call's progress, in `statuses`;
    - `moved`: a stream was cut, and goes on elsewhere;
    - `refused`: an answer that asks to try again, or the kind of a connection's error, in `status`; `overloaded`: a
      refusal because too much waits;
    - `saw`: all `marks` and `ids` in whatever this client has received;
    - `asked`: what was answered about a `task` of somebody else, and about one that never was, in `statuses`;
    - `wrong`: an answer that no fault explains.
    """

    at: float
    kind: str
    number: int
    event: str
    task: str = ""
    status: str = ""
    seqs: tuple[int, ...] = ()
    statuses: tuple[str, ...] = ()
    owner: str = ""
    marks: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class Records:
    """Appends to a file. `accepted` and `overloaded`: how many tasks clients were told of, and how many calls were
    refused because too much waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self.accepted = 0
        self.overloaded = 0

    def add(self, kind: str, number: int, event: str, **more: Any) -> None:
        """Keep an observation."""
        self.accepted += event == "accepted"
        self.overloaded += event == "overloaded"
        self._file.write(json.dumps(asdict(Record(time.time(), kind, number, event, **more))) + "\n")

    def flush(self) -> None:
        """What was kept so far can be read."""
        self._file.flush()

    def close(self) -> None:
        """Everything is on disk after it."""
        self._file.close()


def read(path: Path) -> Iterator[Record]:
    """The records of a file, of which one at a time is in memory."""
    lists = ("seqs", "statuses", "marks", "ids")
    with path.open() as lines:
        for line in lines:
            found = json.loads(line)
            yield Record(**{**found, **{name: tuple(found[name]) for name in lists}})
