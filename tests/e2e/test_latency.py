"""From `kubectl apply` to the first successful call through the Service."""

import asyncio
import time

import pytest

from tests.e2e.callers import Callers
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import FIGURES
from tests.e2e.objects import flow
from tests.support.waiting import lasts

pytestmark = pytest.mark.timeout(600)
TIMES = 50
BOUND = 30.0
"""Seconds. The figures are reported; what is judged is only that the list each minute is not what found the flow."""


async def test_an_applied_flow_is_called_soon(
    cluster: Cluster, callers: Callers, request: pytest.FixtureRequest
) -> None:
    applying, calling = [], []
    for number in range(TIMES):
        name, began = f"soon-{number}", time.monotonic()
        await asyncio.to_thread(cluster.apply, flow(name, "shout"))
        applied = time.monotonic()
        while (await callers.post(name, {"text": "x"}, 30))[0] != 200:
            assert time.monotonic() - began < BOUND
            await lasts(0.01)
        applying.append(applied - began)
        calling.append(time.monotonic() - began)
    cluster.delete("flow", *(f"soon-{number}" for number in range(TIMES)))
    request.config.stash[FIGURES].append(
        f"from kubectl apply to the first result through the Service, {TIMES} times: {_figures(calling)}"
        f" (kubectl itself: {_figures(applying)})"
    )


def _figures(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.0f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1000:.0f} ms"
