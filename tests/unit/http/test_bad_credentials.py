"""Whoever tries many bad credentials is slowed down, and nobody is locked out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.rates import Rates
from asya_gateway.protocols.http import bad_credentials
from asya_gateway.protocols.http.bad_credentials import BadCredentials
from asya_gateway.protocols.http.held_requests import HeldRequests
from asya_gateway.protocols.http.keys import HELD
from asya_gateway.protocols.http.sources import PROXIES, Proxies


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each answer was delayed; nothing waits."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("asya_gateway.protocols.http.bad_credentials.asyncio.sleep", sleep)
    return found


@contextmanager
def full(held: HeldRequests, request: web.Request) -> Iterator[None]:
    with held.slot(request):
        yield


def requests(limit: int = 100) -> tuple[HeldRequests, web.Request, web.Request]:
    app = web.Application()
    app[PROXIES] = Proxies()
    app[HELD] = held = HeldRequests(limit, Budget.unbounded())
    one = make_mocked_request("GET", "/", app=app).clone(remote="192.0.2.1")
    other = make_mocked_request("GET", "/", app=app).clone(remote="192.0.2.2")
    return held, one, other


async def test_the_first_ones_are_answered_at_once_and_further_ones_within_two_seconds(slept: list[float]) -> None:
    _, one, other = requests()
    delays = BadCredentials(Rates(0.1, 3, monotonic=lambda: 0.0))
    for _ in range(3):
        await delays.delay(one)
    assert slept == []
    for _ in range(3):
        await delays.delay(one)
    assert slept == [2.0, 2.0, 2.0]
    await delays.delay(other)
    assert len(slept) == 3


async def test_a_delay_counts_as_a_held_request_and_ends_when_those_are_too_many(slept: list[float]) -> None:
    held, one, _ = requests(limit=1)
    delays = BadCredentials(Rates(0.1, 1, monotonic=lambda: 0.0))
    await delays.delay(one)
    with full(held, one):
        await asyncio.wait_for(delays.delay(one), 1)
    assert slept == []
    await delays.delay(one)
    assert slept == [2.0]


async def test_only_so_many_are_delayed_at_a_time(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    monkeypatch.setattr(bad_credentials, "MOST_DELAYED", 1)
    held, one, _ = requests()
    delays = BadCredentials(Rates(0.1, 1, monotonic=lambda: 0.0))
    entered, go = asyncio.Event(), asyncio.Event()

    async def waiting(seconds: float) -> None:
        slept.append(seconds)
        entered.set()
        await go.wait()

    monkeypatch.setattr("asya_gateway.protocols.http.bad_credentials.asyncio.sleep", waiting)
    await delays.delay(one)
    first = asyncio.create_task(delays.delay(one))
    await entered.wait()
    await delays.delay(one)
    assert (len(slept), len(held)) == (1, 1)
    go.set()
    await first
