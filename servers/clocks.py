"""Wall clocks of single processes that are wrong, or moved while a process runs, by libfaketime (Debian: faketime)."""

import os
from pathlib import Path
from typing import Any

from servers.processes import ServerUnavailable

LIBRARY = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")


def wrong_by(offset: str) -> dict[str, str]:
    """The environment of a process whose clocks are wrong for as long as it lives, for example by `-90s`. Raises
    ServerUnavailable without the library."""
    return {"LD_PRELOAD": _library(), "FAKETIME": offset}


class MovableClock:
    """A wall clock that can be set while processes with its `environment` run. Their monotonic clocks go on as they
    should."""

    def __init__(self, file: Path, seconds: float = 0.0) -> None:
        """Raises ServerUnavailable without the library."""
        self._file = file
        self.environment: dict[str, Any] = {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """So far from the true time, within a second from now. The file is replaced, since a process that finds it
        empty would end."""
        new = self._file.with_name(self._file.name + ".new")
        new.write_text(f"{seconds:+g}\n")
        new.replace(self._file)


def _library() -> str:
    if not LIBRARY.exists():
        raise ServerUnavailable(f"{LIBRARY} is missing (Debian: faketime)")
    return str(LIBRARY)
