"""How much memory this process may use: the limit of its container, with either version of Linux control groups."""

import os
from pathlib import Path

FOR_BUDGET = 0.33
"""The part of a container's memory for bodies. The rest is for the program itself, allocator fragmentation, and memory
that the weights do not cover."""
UNLIMITED_FOR_BUDGET = 0.25
"""The part of the machine's memory, if no container limits the process."""
_V1_UNLIMITED = 1 << 60


def memory_budget(setting: int, root: Path = Path("/")) -> int:
    """Bytes of the budget: the setting if it is not 0, else a part of the container's or the machine's memory."""
    if setting:
        return setting
    limit = container_limit(root)
    if limit is not None:
        return int(limit * FOR_BUDGET)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * UNLIMITED_FOR_BUDGET)


def container_limit(root: Path = Path("/")) -> int | None:
    """The lowest memory limit of the control groups around this process; None if there is none."""
    found = [limit for folder, name in _folders(root) if (limit := _limit(folder / name)) is not None]
    return min(found, default=None)


def _folders(root: Path) -> list[tuple[Path, str]]:
    """Where the limits may be found. Inside a container, the process's own group is mounted at the top. Outside, or if
    the host's tree is mounted, /proc/self/cgroup names the group, and each group above limits it too."""
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
