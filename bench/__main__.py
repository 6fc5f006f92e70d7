"""`python -m bench [NAME …] [--json FILE] [--quick]`: prints one table; exit status 1 if a target is missed.

`python -m bench compare REVISION [NAME …]`: compares the working tree with a commit; exit status 1 if it is slower.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.compare import Pair, compare, write_json
from bench.compare import render as render_pairs
from bench.figures import Figure
from bench.registry import BENCHMARKS, named
from bench.stage import FULL, QUICK, Effort, Stage, machine
from bench.table import as_json, render
from servers.commits import previous_commit


def main(arguments: Sequence[str]) -> int:
    """Run the requested benchmarks; returns the exit status."""
    if arguments[:1] == ["compare"]:
        return _compare(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway beside its peers.")
    _add_options(parser)
    options = _parsed(parser, arguments)
    figures: list[Figure] = []
    stage = _stage(options)
    try:
        for name in options.names or BENCHMARKS:
            stage.say(f"{name} …")
            figures += BENCHMARKS[name](stage)
    finally:
        # Figures measured before a failure are also shown.
        stage.close()
        print(render(figures))
        if options.json:
            options.json.write_text(json.dumps(as_json(figures, machine()), indent=2) + "\n")
    return 0 if options.quick or all(figure.met for figure in figures) else 1


def _compare(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench compare", description="Measure the working tree beside another commit, in turn."
    )
    parser.add_argument("revision", metavar="REVISION", help="the other commit; `previous` is servers/PREVIOUS_COMMIT")
    _add_options(parser)
    options = _parsed(parser, arguments)
    revision = previous_commit() if options.revision == "previous" else options.revision
    pairs: list[Pair] = []
    stage = _stage(options)
    try:
        pairs = compare(stage, revision, options.names or list(BENCHMARKS))
    finally:
        stage.close()
        print(render_pairs(pairs, revision))
        if options.json:
            write_json(options.json, pairs, revision, machine())
    return 0 if options.quick or not any(pair.slower for pair in pairs) else 1


def _stage(options: argparse.Namespace) -> Stage:
    effort = QUICK if options.quick else Effort(options.seconds, FULL.warm_up, options.rounds)
    return Stage(effort, lambda text: print(text, file=sys.stderr, flush=True))


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    try:
        options.names = named(options.names)
    except ValueError as error:
        parser.error(str(error))
    return options


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(BENCHMARKS)}; all by default; `work` stands for all that begin with `work-`",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="short runs that only report, for CI")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of each run (20)")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help="runs of each side of a pair (3)")


if __name__ == "__main__":
    # So that an interrupted run still prints the figures so far and stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
