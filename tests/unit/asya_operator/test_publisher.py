"""The publisher outlives whatever somebody wrote."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from asya_operator.domain import publisher
from asya_operator.domain.ports import Kind
from asya_operator.domain.publisher import Pace, Publisher
from asya_operator.domain.registry import Inputs, Outcome, compute
from tests.support.waiting import until


class Sources:
    """Nothing but what a publisher asks for."""

    complete = True

    def watch(self, listener: Any) -> None:
        self.changed = listener

    def inputs(self) -> Inputs:
        return Inputs(None, [], None)


async def test_what_cannot_be_computed_is_said_and_the_next_change_is_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = True

    def computing(*arguments: Any) -> Outcome:
        if broken:
            raise RecursionError("nobody foresaw this")
        return compute(*arguments)

    monkeypatch.setattr(publisher, "compute", computing)
    sources, watchers = Sources(), MagicMock()
    made = Publisher(
        sources,  # type: ignore[arg-type]
        MagicMock(),
        MagicMock(),
        watchers,
        "me",
        lambda: True,
        Pace(quiet=0.001),
    )
    work = asyncio.create_task(made._reconcile())
    try:
        sources.changed(Kind.FLOWS, None)
        await until(lambda: watchers.push_failed.called)
        broken = False
        sources.changed(Kind.FLOWS, None)
        await until(lambda: watchers.computed.called)
        assert not work.done()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_push_that_fails_for_a_reason_nobody_foresaw_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "HOPELESS", 0.001)
    mesh, watchers = AsyncMock(), MagicMock()
    mesh.announce.return_value = 1
    mesh.push.side_effect = [ValueError("nobody foresaw this"), 7]
    made = Publisher(
        Sources(),  # type: ignore[arg-type]
        mesh,
        MagicMock(),
        watchers,
        "me",
        lambda: True,
    )
    made._outcome = compute(Inputs(None, [], None))
    made._push_wanted.set()
    work = asyncio.create_task(made._push())
    try:
        await until(lambda: watchers.pushed.called)
        assert watchers.push_failed.call_count == 1
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
