"""The publisher survives any content of the sources."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from asya_crds.flow_problem import FlowProblem
from asya_operator.domain.conditions import ConditionStatus
from asya_operator.domain.ports import WatchedKind
from asya_operator.domain.programming import MeshState, Pod, PushResult
from asya_operator.domain.registry import ComputedRegistry, Inputs, compute
from asya_operator.reconcilers import registry_pusher
from asya_operator.reconcilers.registry_pusher import PushTiming, RegistryPusher
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

    def computing(*arguments: Any) -> ComputedRegistry:
        if broken:
            raise RecursionError("nobody foresaw this")
        return compute(*arguments)

    monkeypatch.setattr(registry_pusher, "compute", computing)
    sources, watchers = Sources(), MagicMock()
    made = RegistryPusher(
        sources,  # type: ignore[arg-type]
        MagicMock(),
        MagicMock(),
        watchers,
        "me",
        lambda: True,
        PushTiming(quiet=0.001),
    )
    work = asyncio.create_task(made._reconcile())
    try:
        sources.changed(WatchedKind.FLOWS, None)
        await until(lambda: watchers.push_failed.called)
        broken = False
        sources.changed(WatchedKind.FLOWS, None)
        await until(lambda: watchers.computed.called)
        assert not work.done()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_push_that_fails_for_an_unexpected_reason_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_pusher, "HOPELESS", 0.001)
    mesh, watchers = AsyncMock(), MagicMock()
    mesh.announce.return_value = 1
    mesh.push.side_effect = [ValueError("nobody foresaw this"), PushResult(7)]
    made = RegistryPusher(
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


async def test_conditions_wait_for_the_names_that_only_mesh_knows_and_are_judged_with_them() -> None:
    body = {
        "metadata": {"name": "one", "uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"entrypoint": "a", "mcp": {}},
    }
    sources, mesh, statuses, answer = Sources(), AsyncMock(), AsyncMock(), asyncio.Event()
    sources.inputs = lambda: Inputs({"flows.yaml": "flows: [\n"}, [body], None)  # type: ignore[method-assign]
    said: list[str] = []

    async def push(*_: Any) -> PushResult:
        await answer.wait()
        return PushResult(1, {"flows.yaml": ("one",)})

    async def write(standing: Any) -> bool:
        said.append(standing().outcome.resources["one"].accepted.reason)
        return True

    mesh.announce.return_value, mesh.push, statuses.write = 1, push, write
    made = RegistryPusher(
        sources,  # type: ignore[arg-type]
        mesh,
        statuses,
        MagicMock(),
        "me",
        lambda: True,
        PushTiming(quiet=0.001),
    )
    parts = [asyncio.create_task(part()) for part in (made._reconcile, made._push, made._write_statuses)]
    try:
        sources.changed(WatchedKind.FLOWS, None)
        await until(lambda: made._outcome)
        answer.set()
        await until(lambda: said)
        assert set(said) == {"NameConflict"}, "never was anything else said of it"
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


async def test_a_flow_that_gateways_leave_out_is_not_programmed_until_pods_serve_it() -> None:
    body = {
        "metadata": {"name": "one", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {"entrypoint": "a", "mcp": {}},
    }
    mesh, answers = AsyncMock(), [(FlowProblem.of("one", "an unknown word", "Flow/n/one"),), ()]
    mesh.announce.return_value = 1
    mesh.push = AsyncMock(side_effect=[PushResult(1, problems=each) for each in answers])
    made = RegistryPusher(
        Sources(),  # type: ignore[arg-type]
        mesh,
        MagicMock(),
        MagicMock(),
        "me",
        lambda: True,
    )
    made._outcome = compute(Inputs(None, [body], None))
    verdict = made._outcome.resources["one"]
    work = asyncio.create_task(made._push())
    try:
        made._push_wanted.set()
        await until(lambda: made._accepted)
        made._seen(MeshState(1, (Pod("old", 1),)))
        programmed = made._standing().programmed(verdict)
        assert (programmed.state, programmed.reason) == (ConditionStatus.FALSE, "LeftOut")
        assert "an unknown word" in programmed.message
        made._seen(MeshState(1, (Pod("new", 1),)))
        await until(lambda: mesh.push.await_count == 2)
        await until(lambda: made._standing().programmed(verdict).holds)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
