"""How much memory this process may use: the limit of its container, by either version of Linux control groups."""

import os
from pathlib import Path

FOR_BUDGET = 0.33
"""The part of a container's memory that bodies may weigh: the rest is the program itself, the allocator's gaps, and
what no weight foresees."""
UNLIMITED_FOR_BUDGET = 0.25
"""The part of a machine's memory, where no container bounds the process."""
_V1_UNLIMITED = 1 << 60


def memory_budget(setting: int, root: Path = Path("/")) -> int:
    """Bytes of the budget: the setting, where it is not 0, else a part of the container's or the machine's memory."""
    if setting:
        return setting
    limit = container_limit(root)
    if limit is not None:
        return int(limit * FOR_BUDGET)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * UNLIMITED_FOR_BUDGET)


def container_limit(root: Path = Path("/")) -> int | None:
    """The least memory limit of the control groups around this process; None where there is none."""
    found = [limit for folder, name in _folders(root) if (limit := _limit(folder / name)) is not None]
    return min(found, default=None)


def _folders(root: Path) -> list[tuple[Path, str]]:
    """Where the limits may stand. Within a container the own group is mounted at the top; outside, and where the
    host's tree is mounted, /proc/self/cgroup names it, and each group above bounds it, too."""
    mounted = root / "sys/fs/cgroup"
    places = [(mounted, "memory.max"), (mounted / "memory", "memory.limit_in_bytes")]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
        group = Path(path.lstrip("/"))
        places += [(top / each, name) for each in (group, *group.parents)]
    return places


def _limit(file: Path) -> int | None:
    text = _text(file).strip()
    if not text.isascii() or not text.isdigit():
        # "max", or no such file.
        return None
    limit = int(text)
    return limit if 0 < limit < _V1_UNLIMITED else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
