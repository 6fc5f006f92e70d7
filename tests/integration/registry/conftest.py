"""Pods on one database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.support.registry import Pod

StartPod = Callable[..., Awaitable[Pod]]


@pytest.fixture
async def start_pod(database_url: str) -> AsyncIterator[StartPod]:
    pods: list[Pod] = []

    async def start(name: str = "api-1", **changes: Any) -> Pod:
        pod = await Pod(database_url, name, **changes).start()
        pods.append(pod)
        return pod

    yield start
    for pod in pods:
        await pod.stop()
