"""Every benchmark by name. A benchmark is a function of the stage that returns its figures."""

from collections.abc import Callable

from bench import apply, calls, cascade, ends, leaks, reports, streams
from bench.figures import Figure
from bench.stage import Stage

Benchmark = Callable[[Stage], list[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "burst": calls.burst,
    "sustained": calls.sustained,
    "sustained-postgres": calls.sustained_postgres,
    "progress": reports.progress,
    "terminal": ends.terminal,
    "streams": streams.open_streams,
    "fly": streams.fly,
    "memory": leaks.memory,
    "cascade": cascade.cascade,
    "apply": apply.apply,
}
