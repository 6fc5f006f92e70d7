"""What the clients of a chaos run saw, one JSON line each. The checker reads these and the database, never the
gateway."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One observation of a client.

    `event` is `accepted` (the gateway said that it has the task), `ended` (the client saw the task's end, with its
    `status`), `canceled` (a cancel was acknowledged), `answered` (an answer to a question was), `read` (a stream's
    updates, `seqs`, from its first to its last), `watched` (the same from an entry on, without their statuses), `told`
    (the texts of a call's progress, in `statuses`), `moved` (a stream was cut, and goes on elsewhere), `refused` (an
    answer that asks to try again, or the kind of a connection's error, in `status`), or `wrong` (an answer that no
    fault explains).
    """

    at: float
    kind: str
    number: int
    event: str
    task: str = ""
    status: str = ""
    seqs: tuple[int, ...] = ()
    statuses: tuple[str, ...] = ()


class Records:
    """Appends to a file. `accepted`: how many tasks clients were told of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self.accepted = 0

    def add(self, kind: str, number: int, event: str, **more: Any) -> None:
        """Keep an observation."""
        self.accepted += event == "accepted"
        self._file.write(json.dumps(asdict(Record(time.time(), kind, number, event, **more))) + "\n")

    def flush(self) -> None:
        """What was kept so far can be read."""
        self._file.flush()

    def close(self) -> None:
        """Everything is on disk after it."""
        self._file.close()


def read(path: Path) -> Iterator[Record]:
    """The records of a file, of which one at a time is in memory."""
    with path.open() as lines:
        for line in lines:
            found = json.loads(line)
            yield Record(**{**found, "seqs": tuple(found["seqs"]), "statuses": tuple(found["statuses"])})
