"""`python -m bench [NAME …] [--json FILE] [--quick]`: one table; exit status 1 where a target is missed."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure
from bench.registry import BENCHMARKS
from bench.stage import FULL, QUICK, Effort, Stage, machine
from bench.table import as_json, render


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    effort = QUICK if options.quick else Effort(options.seconds, FULL.warm_up, options.rounds)
    figures: list[Figure] = []
    stage = Stage(effort, lambda text: print(text, file=sys.stderr, flush=True))
    try:
        for name in options.names or BENCHMARKS:
            stage.say(f"{name} …")
            figures += BENCHMARKS[name](stage)
    finally:
        # What was measured before a failure is worth showing, too.
        stage.close()
        print(render(figures))
        if options.json:
            options.json.write_text(json.dumps(as_json(figures, machine()), indent=2) + "\n")
    return 0 if options.quick or all(figure.met for figure in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway beside its peers.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(BENCHMARKS)}; all by default",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="short runs that only report, for CI")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of each run (20)")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help="runs of each side of a pair (3)")
    return parser


if __name__ == "__main__":
    # So that whoever cuts it short still gets the figures so far, and no server stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
