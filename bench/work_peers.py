"""The peers of finished work: Celery on RabbitMQ and procrastinate on PostgreSQL, in an environment of their own."""

import math
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.confirms import Broker
from bench.stage import Stage
from servers.commits import ROOT
from servers.processes import spawn, stop_process, wait_until

FOLDER = ROOT / ".cache" / "bench-peers"
PROGRAMS = ROOT / "bench" / "peers"
WITHIN = 300.0
STAMP = struct.Struct("<d")


def celery_per_second(stage: Stage, tasks: int) -> float:
    """Two processes, late acknowledgements, a durable classic queue: its defaults."""
    with Broker(stage).queue() as url:
        variables = {"BROKER": url}
        words = ["-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2", "--loglevel", "error"]
        return _measured(stage, variables, ["celery_app.py", str(tasks)], words, tasks)


def procrastinate_per_second(stage: Stage, tasks: int) -> float:
    """One process, 64 tasks at a time."""
    with stage.database() as url:
        variables = {"DATABASE": url}
        fill, work = ["procrastinate_app.py", "fill", str(tasks)], ["procrastinate_app.py", "work"]
        return _measured(stage, variables, fill, work, tasks)


def _measured(
    stage: Stage, variables: Mapping[str, str], fill: Sequence[str], work: Sequence[str], tasks: int
) -> float:
    """Tasks a second, from the first end to the last."""
    python = peers_python()
    with tempfile.NamedTemporaryFile(dir=stage.folder) as ends:
        environment = {"PATH": os.environ["PATH"], "HOME": str(stage.folder), "ENDS": ends.name, **variables}
        subprocess.run([python, *fill], cwd=PROGRAMS, env=environment, check=True)
        log_path = Path(f"{ends.name}.log")
        with log_path.open("wb") as log:
            process = spawn([python, *work], cwd=PROGRAMS, env=environment, stdout=log, stderr=log)
        try:
            wait_until(
                lambda: Path(ends.name).stat().st_size >= tasks * STAMP.size, WITHIN, "the peer is not done", log_path
            )
        finally:
            stop_process(process, 15, 15)
        times = sorted(time for (time,) in STAMP.iter_unpack(Path(ends.name).read_bytes()))
    seconds = times[-1] - times[0]
    return (len(times) - 1) / seconds if seconds else math.nan


def peers_python() -> str:
    """The interpreter of the peers' environment, which is made once."""
    python, requirements = FOLDER / "bin" / "python", PROGRAMS / "requirements.txt"
    made = FOLDER / "requirements.txt"
    if not made.exists() or made.read_text() != requirements.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True)
        made.write_text(requirements.read_text())
    return str(python)
