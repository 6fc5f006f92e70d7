"""`python -m bench.scale [NAME …] [--largest ROWS] [--json FILE]`: a table for each dimension in which an installation
grows; exit status 1 if a cost that should be flat is not.

| name | grows |
|---|---|
| rows | ended tasks: 10,000 to 1,000,000 (`--largest 10000000` adds that: 25 GB of disk, an hour) |
| open | open tasks: 1,000 to 100,000 |
| streams | open streams at one api process: 100 to 5,000 |
| updates | updates of one task: 10 to 10,000 |
| flows | flows: 10 to 10,000 |
| pods | pods of one database: 10 to 1,000 |
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.scale import flows, pods, rows, streams
from bench.scale.tables import Table, as_json
from bench.stage import Effort, Stage

Measured = Callable[[Stage, Sequence[int]], Table]
TABLES: dict[str, tuple[Measured, tuple[int, ...]]] = {
    "rows": (rows.ended, (10_000, 100_000, 1_000_000)),
    "open": (rows.opened, (1_000, 10_000, 100_000)),
    "streams": (streams.streams, (100, 1_000, 2_000, 5_000)),
    "updates": (streams.updates, (10, 100, 1_000, 10_000)),
    "flows": (flows.flows, (10, 100, 1_000, 10_000)),
    "pods": (pods.pods, (10, 100, 300, 1_000)),
}
SECONDS = 12.0


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Measure how cost grows with size.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TABLES)}; all by default")
    parser.add_argument("--largest", type=int, help="the largest size: smaller ones and this are measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - TABLES.keys():
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    tables: list[Table] = []
    stage = Stage(Effort(SECONDS, 1.0, 1), lambda text: print(text, file=sys.stderr, flush=True))
    try:
        for name in options.names or TABLES:
            stage.say(f"{name} …")
            measured, sizes = TABLES[name]
            tables.append(measured(stage, _up_to(sizes, options.largest)))
            # Those before a failure are shown, too.
            print(tables[-1].render() + "\n", flush=True)
    finally:
        stage.close()
        if options.json:
            options.json.write_text(json.dumps(as_json(tables), indent=2) + "\n")
    return 0 if all(table.flat for table in tables) else 1


def _up_to(sizes: Sequence[int], largest: int | None) -> Sequence[int]:
    if largest is None:
        return sizes
    return [*(size for size in sizes if size < largest), largest]


if __name__ == "__main__":
    # So that an interrupted run still stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
