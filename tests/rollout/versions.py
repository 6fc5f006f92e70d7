"""A world in which some programs are of the version before."""

import subprocess
import sys
from pathlib import Path

from typing_extensions import override

from servers.commits import ROOT, import_path
from servers.ports import free_port
from tests.faults.world import Process, World


class TwoVersions(World):
    """`previous`: the tree of the version before; `of_previous`: the names of the processes that run it."""

    previous: Path
    of_previous: set[str]

    @override
    def place(self, process: Process) -> None:
        process.folder = self.previous if process.name in self.of_previous else ROOT
        process.environment["PYTHONPATH"] = import_path(process.folder, self.handlers)
        if not process.url:
            # A worker is asked there whether it is ready: one that has only just begun ends by SIGTERM itself.
            port = free_port()
            process.environment["ASYA_METRICS_PORT"] = str(port)
            process.url = f"http://127.0.0.1:{port}"

    def migrate_by_previous(self) -> None:
        """Make the schema that the version before knows."""
        environment = self.environment(PYTHONPATH=import_path(self.previous))
        command = [sys.executable, "-m", "asya_cli", "migrate"]
        subprocess.run(command, env=environment, cwd=self.previous, check=True)
