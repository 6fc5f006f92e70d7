"""The peer of every write: pgbench, prepared statements, as many clients as the gateway has connections."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from servers.processes import ServerUnavailable

_RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([1-9]\d*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A pgbench script; `sql` is one transaction, `variables` numbers that it may use as :name."""

    name: str
    sql: str
    variables: Mapping[str, int]


def binary() -> str:
    """The distribution's pgbench. Raises ServerUnavailable."""
    found = [
        shutil.which("pgbench"),
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)),
    ]
    for candidate in found:
        if candidate and Path(candidate).exists():
            return candidate
    raise ServerUnavailable("there is no pgbench on this machine (Debian: postgresql-client or postgresql-contrib)")


def version() -> str:
    """The version that pgbench reports."""
    return subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def run_pgbench(url: str, script: Script, *, seconds: float, clients: int = 64) -> float:
    """Transactions per second. Raises RuntimeError if one failed."""
    parts = urlsplit(url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script.sql)
        file.flush()
        command = [binary(), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds)))]
        command += [f"-D{name}={value}" for name, value in script.variables.items()]
        command += ["-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username), "-f", file.name]
        done = subprocess.run([*command, parts.path[1:]], capture_output=True, text=True, check=False)
    return rate_of(done.stdout, done.stderr)


def rate_of(output: str, errors: str = "") -> float:
    """The rate in pgbench's report. Raises RuntimeError if it failed, or if a transaction did."""
    found = _RATE.search(output)
    if found is None or _FAILED.search(output):
        raise RuntimeError(f"pgbench failed: {errors.strip()[-500:] or output[-500:]}")
    return float(found[1])
