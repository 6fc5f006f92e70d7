"""Two operators, one of which leads: whatever happens to it, the two never push at the same time, and the other takes
over."""

import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asya_operator.cluster.election import LOST
from servers.clocks import MovableClock
from servers.control_plane import ControlPlane
from servers.operator_process import OperatorProcess, wait_for
from servers.processes import ServerUnavailable
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.network import Network
from tests.kubernetes.recording_mesh import RecordingMesh
from tests.support.missing import missing
from tests.support.waiting import lasts_blocking

LEASE = 6.0
"""Seconds, as conftest.py sets it for every operator."""
LATE = 30.0
"""Seconds that a busy machine may take beyond what a lease accounts for."""
LONG = {"ASYA_LEASE_DURATION": "120s", "ASYA_LEASE_RENEW_DEADLINE": "100s"}
"""A lease that does not run out within a test."""


def flow(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "a", "mcp": {}},
    }


def pair(start_operator: StartOperator, **first: Any) -> tuple[OperatorProcess, OperatorProcess]:
    """A leader and a standby; the standby waits as long as the leader's lease says."""
    leader = start_operator(**first)
    wait_for(leader.leading, "a leader")
    standby = start_operator()
    wait_for(standby.ready, "a standby")
    assert standby.get("/readyz") == (200, "standing by\n")
    return leader, standby


def epochs_only_rise(mesh: RecordingMesh) -> bool:
    """Whether, in the order of time, no accepted push came from an older leader than one before it."""
    epochs = [epoch for _, epoch, _ in mesh.registry.pushes]
    return epochs == sorted(epochs)


def test_a_leader_that_is_asked_to_end_hands_over_at_once(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    leader, standby = pair(start_operator, **LONG)
    assert leader.stop() == 0
    wait_for(standby.leading, "the standby leads, long before the lease would have run out", LATE)
    control_plane.apply(flow("after"), namespace=namespace)
    wait_for(lambda: mesh.flow("after"), "the new leader's push")


def test_a_leader_that_is_killed_is_replaced_when_its_lease_runs_out(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    leader, standby = pair(start_operator)
    control_plane.apply(flow("before"), namespace=namespace)
    wait_for(lambda: mesh.flow("before"), "the push")
    leader.kill()
    wait_for(standby.leading, "the standby leads", LEASE + LATE)
    control_plane.apply(flow("after"), namespace=namespace)
    wait_for(lambda: mesh.names() == {"before", "after"}, "both flows")
    assert epochs_only_rise(mesh)


def test_a_frozen_leader_ends_itself_when_it_wakes_and_never_pushes_again(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    leader, standby = pair(start_operator)
    leader.signal(signal.SIGSTOP)
    wait_for(standby.leading, "the standby leads", LEASE + LATE)
    control_plane.apply(flow("while-frozen"), namespace=namespace)
    wait_for(lambda: mesh.flow("while-frozen"), "the new leader's push")
    leader.signal(signal.SIGCONT)
    assert leader.process.wait(LATE) == LOST
    assert epochs_only_rise(mesh)
    assert mesh.names() == {"while-frozen"}


def test_a_leader_whose_requests_hang_ends_before_another_one_begins(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    way = control_plane.kubeconfig(namespace=namespace, port=network.port)
    # Much lies between the renew deadline (4.5 s) and this duration, so that a busy machine blurs no order.
    leader, standby = pair(start_operator, kubeconfig=way, ASYA_LEASE_DURATION="20s")
    network.stall()
    assert leader.process.wait(LATE) == LOST
    assert standby.get("/readyz") == (200, "standing by\n"), "nobody leads yet"
    wait_for(standby.leading, "the standby leads", 20 + LATE)
    network.flow()
    assert epochs_only_rise(mesh)


def test_a_blip_shorter_than_the_renew_deadline_changes_nothing(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    way = control_plane.kubeconfig(namespace=namespace, port=network.port)
    leader, standby = pair(start_operator, kubeconfig=way, **LONG)
    network.refuse()
    lasts_blocking(1.0)
    network.accept()
    control_plane.apply(flow("after-blip"), namespace=namespace)
    wait_for(lambda: mesh.flow("after-blip"), "the push by the same leader", LATE)
    wait_for(leader.leading, "the leader with a renewed lease", LATE)
    assert not standby.leading()
    assert mesh.registry.epoch == 1


def test_jumps_of_the_wall_clock_move_no_leadership(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator, tmp_path: Path
) -> None:
    clocks = movable(tmp_path / "leader"), movable(tmp_path / "standby")
    leader, standby = (start_operator(**clock.environment) for clock in clocks)
    wait_for(lambda: leader.leading() or standby.leading(), "a leader")
    if standby.leading():
        leader, standby, clocks = standby, leader, clocks[::-1]
    wait_for(standby.ready, "a standby")
    for number, (clock, jump) in enumerate((which, by) for which in clocks for by in (-1800, 1800, 0)):
        clock.move(jump)
        if clock is clocks[0]:
            wait_for(lambda by=jump: near(written_by_clock(control_plane, namespace), by), "a renewal by that clock")  # type: ignore[misc]
        with pytest.raises(subprocess.TimeoutExpired):
            leader.process.wait(LEASE + 1)
        control_plane.apply(flow(f"flow-{number}"), namespace=namespace)
        wait_for(lambda name=f"flow-{number}": mesh.flow(name), "the push")  # type: ignore[misc]
        assert leader.leading()
        assert not standby.leading()
    assert mesh.registry.epoch == 1
    clocks[1].move(-1800)
    leader.kill()
    wait_for(standby.leading, "the standby leads by its own clock's measure", LEASE + LATE)


def movable(file: Path) -> MovableClock:
    """A clock of one process."""
    try:
        return MovableClock(file)
    except ServerUnavailable as reason:
        missing(reason)


def written_by_clock(control_plane: ControlPlane, namespace: str) -> float:
    """Seconds by which the clock that renewed the lease last was ahead of the true time."""
    renewed = control_plane.get("Lease", namespace=namespace)["items"][0]["spec"]["renewTime"]
    return (datetime.fromisoformat(renewed) - datetime.now(UTC)).total_seconds()


def near(seconds: float, expected: float) -> bool:
    return abs(seconds - expected) < 60


def test_a_leader_that_another_epoch_superseded_ends(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    operator = start_operator()
    wait_for(lambda: mesh.registry.pushes, "the first push")
    with mesh.lock:
        mesh.registry.epoch += 1
    control_plane.apply(flow("late"), namespace=namespace)
    assert operator.process.wait(LATE) == LOST
    assert "late" not in mesh.names()
