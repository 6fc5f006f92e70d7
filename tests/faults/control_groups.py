"""Linux control groups with a memory limit, of either version, as a container has one."""

import contextlib
import os
import uuid
from pathlib import Path

from servers.processes import ServerUnavailable
from tests.support.waiting import lasts_blocking

ROOT = Path("/sys/fs/cgroup")


class NoControlGroups(ServerUnavailable):
    """This user may make none here; the text says why."""


class ControlGroup:
    """One group with a limit in bytes; processes join it as they start."""

    def __init__(self, name: str, limit: int) -> None:
        self.v2 = (ROOT / "cgroup.controllers").exists()
        base = ROOT if self.v2 else ROOT / "memory"
        self.folder = base / f"asya-{name}-{uuid.uuid4().hex[:8]}"
        try:
            if self.v2 and "memory" not in (ROOT / "cgroup.subtree_control").read_text().split():
                (ROOT / "cgroup.subtree_control").write_text("+memory")
            self.folder.mkdir()
            (self.folder / ("memory.max" if self.v2 else "memory.limit_in_bytes")).write_text(str(limit))
        except OSError as error:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            raise NoControlGroups(f"{self.folder}: {error}") from None

    def around(self, command: list[str]) -> list[str]:
        """The command, which joins the group before it begins."""
        join = f'echo $$ > {self.folder}/cgroup.procs && exec "$@"'
        return ["/bin/sh", "-c", join, "sh", *command]

    def held(self) -> int:
        """Bytes of memory in use that could not simply be dropped."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int(stat["anon" if self.v2 else "rss"])

    def kills(self) -> int:
        """How many processes of it were killed for want of memory."""
        file = self.folder / ("memory.events" if self.v2 else "memory.oom_control")
        stat = dict(line.split() for line in file.read_text().splitlines())
        return int(stat["oom_kill"])

    def close(self) -> None:
        """Remove it; its processes must be gone."""
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            lasts_blocking(0.05)  # the kernel lets a group go a moment after its last process
