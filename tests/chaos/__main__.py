"""`python -m tests.chaos [--minutes 20 | --quick] [--tasks N] [--transport postgres] [--seed N]`: breaks a whole
deployment under load, and tells whether every promise was kept. Exit status 1 if one was not.

The long form is `--tasks 100000 --minutes 120`: it ends when so many calls were accepted, or after the time. How long
it takes is a matter of the machine. `--quick` takes about four minutes for postgres and rabbitmq.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import Outcome, Plan, run

TRANSPORTS = ("postgres", "rabbitmq", "sqs", "pubsub")
USUAL = TRANSPORTS[:2]
QUICK_SECONDS = 60.0


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break a whole deployment under load.")
    parser.add_argument("--minutes", type=float, default=20.0, help="minutes of load on each transport (20)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s on each transport, at a low rate")
    parser.add_argument("--tasks", type=int, help="end earlier, when so many calls were accepted")
    parser.add_argument("--transport", choices=TRANSPORTS, action="append", help="may be repeated (postgres, rabbitmq)")
    parser.add_argument("--rate", type=float, help="calls a second (80; quick 20)")
    parser.add_argument("--pause", type=float, help="mean seconds between two faults (6; quick 1)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats the order of the faults")
    parser.add_argument("--keep", type=Path, help="folder for the logs and the clients' records")
    options = parser.parse_args()
    sound = True
    for transport in options.transport or USUAL:
        folder = (options.keep or Path(tempfile.mkdtemp(prefix="asya-chaos-"))) / transport
        folder.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            transport,
            QUICK_SECONDS if options.quick else options.minutes * 60,
            options.rate or (20 if options.quick else 80),
            options.pause or (1 if options.quick else 6),
            options.seed,
            folder,
            options.tasks,
            brief=options.quick,
        )
        print(
            f"{transport}: seed {plan.seed}, {plan.seconds:g} s at {plan.rate:g} calls a second, in {folder}",
            flush=True,
        )
        outcome = asyncio.run(run(plan))
        print(_told(transport, outcome), flush=True)
        sound = sound and outcome.verdict.sound
    return 0 if sound else 1


def _told(transport: str, outcome: Outcome) -> str:
    verdict = outcome.verdict
    lines = [
        f"{transport}: {outcome.calls} calls, {verdict.accepted} accepted, {verdict.tasks} tasks with children, "
        f"{len(verdict.lost)} lost, {len(verdict.double)} double, {len(verdict.problems)} other problems, "
        f"{outcome.seconds:.0f} s",
        "  ends: " + ", ".join(f"{count} {status}" for status, count in sorted(verdict.statuses.items())),
        "  failures: " + (", ".join(f"{count} {kind}" for kind, count in sorted(verdict.failures.items())) or "none"),
        "  faults: " + ", ".join(f"{count} {name}" for name, count in sorted(outcome.faults.items())),
        "  clients: " + ", ".join(f"{count} {event}" for event, count in sorted(verdict.events.items())),
    ]
    lines += [f"  LOST {id}" for id in verdict.lost[:20]]
    lines += [f"  DOUBLE {id}" for id in verdict.double[:20]]
    lines += [f"  {problem}" for problem in verdict.problems[:40]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
