"""Memory over many calls: whether the processes grow with the work done."""

import time
from collections.abc import Callable, Sequence

from bench.figures import Figure, Target, growth
from bench.load import Plan, run_load
from bench.rows import CALL, FILL, REPORTED_TASKS, report_body, report_path
from bench.stage import GatewayProcess, Stage
from servers.databases import execute

CALLS, QUICK_CALLS = 200_000, 10_000
SAMPLES = 8
NOISE = 2_000_000.0
"""Allowed growth of a process in bytes at the end of any run, because its allocator takes and returns memory in steps
of this size. Over 200,000 calls it is 10 bytes a call; a smaller leak shows only in longer runs."""


def memory(stage: Stage) -> list[Figure]:
    """The api process over calls, the mesh process over reports."""
    reports = [(report_path(number), report_body()) for number in range(REPORTED_TASKS)]
    with stage.database() as url:
        execute(url, *FILL)
        with stage.gateway("api", url) as api:
            calls = _grown("api, calls", stage, api, [("/tools/call", CALL)])
        with stage.gateway("mesh", url) as mesh:
            return [calls, _grown("mesh, reports", stage, mesh, reports)]


def _grown(what: str, stage: Stage, gateway: GatewayProcess, requests: Sequence[tuple[str, str]]) -> Figure:
    total = QUICK_CALLS if stage.effort.quick else CALLS
    step = total // SAMPLES

    def some(count: int) -> int:
        return run_load(Plan(gateway.port, requests, 64, 600.0, 0.0, total=count)).accepted

    samples, problem = sample(some, lambda: gateway.memory, step)
    first, last = samples[0][1], samples[-1][1]
    return Figure(
        name=f"memory growth, {what}",
        value=growth(samples),
        unit="bytes a call",
        target=Target(NOISE / total, most=True),
        broken=problem,
        notes=(f"{first / 2**20:.1f} MB at the first sample, {last / 2**20:.1f} MB after {total:,} calls more",),
        details={"samples": samples},
    )


def sample(work: Callable[[int], int], measure: Callable[[], int], step: int) -> tuple[list[tuple[float, float]], str]:
    """(calls done, bytes) after each step, the first step being a warm-up; and why the measurement is invalid, or
    ""."""
    samples: list[tuple[float, float]] = []
    for number in range(SAMPLES + 1):
        done = work(step)
        if done < step:
            return samples or [(0.0, 0.0)], f"{step - done} of {step} calls were refused"
        time.sleep(0.2)
        samples.append((float(number * step), float(measure())))
    return samples, ""
