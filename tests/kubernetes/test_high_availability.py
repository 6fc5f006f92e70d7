"""Two operators, one of which leads: whatever happens to it, two never push, and the other goes on."""

import signal
import time
from typing import Any

from asya_operator.cluster.election import LOST
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.network import Network
from tests.kubernetes.operator_process import OperatorProcess, wait_for
from tests.kubernetes.recording_mesh import RecordingMesh

LEASE = 4.0
"""Seconds, as conftest.py sets it for every operator."""


def flow(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "a", "mcp": {}},
    }


def pair(start_operator: StartOperator, **first: Any) -> tuple[OperatorProcess, OperatorProcess]:
    """A leader and a standby."""
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
    leader, standby = pair(start_operator)
    began = time.monotonic()
    assert leader.stop() == 0
    wait_for(standby.leading, "the standby leads", 5)
    assert time.monotonic() - began < LEASE, "it did not have to wait for the lease to run out"
    control_plane.apply(flow("after"), namespace=namespace)
    wait_for(lambda: mesh.flow("after"), "the new leader's push")


def test_a_leader_that_is_killed_is_replaced_when_its_lease_runs_out(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    leader, standby = pair(start_operator)
    control_plane.apply(flow("before"), namespace=namespace)
    wait_for(lambda: mesh.flow("before"), "the push")
    leader.kill()
    wait_for(standby.leading, "the standby leads", LEASE + 5)
    control_plane.apply(flow("after"), namespace=namespace)
    wait_for(lambda: mesh.names() == {"before", "after"}, "both flows")
    assert epochs_only_rise(mesh)


def test_a_frozen_leader_ends_itself_when_it_wakes_and_never_pushes_again(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    leader, standby = pair(start_operator)
    leader.signal(signal.SIGSTOP)
    wait_for(standby.leading, "the standby leads", LEASE + 5)
    control_plane.apply(flow("while-frozen"), namespace=namespace)
    wait_for(lambda: mesh.flow("while-frozen"), "the new leader's push")
    leader.signal(signal.SIGCONT)
    assert leader.process.wait(10) == LOST
    assert epochs_only_rise(mesh)
    assert mesh.names() == {"while-frozen"}


def test_a_leader_whose_requests_hang_ends_before_another_one_begins(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    leader, standby = pair(start_operator, kubeconfig=control_plane.kubeconfig(namespace=namespace, port=network.port))
    network.stall()
    began = time.monotonic()
    assert leader.process.wait(LEASE + 5) == LOST
    assert time.monotonic() - began < LEASE, "within the renew deadline"
    assert not standby.leading()
    wait_for(standby.leading, "the standby leads", LEASE + 5)
    network.flow()
    assert epochs_only_rise(mesh)


def test_a_blip_shorter_than_the_renew_deadline_changes_nothing(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    leader, standby = pair(start_operator, kubeconfig=control_plane.kubeconfig(namespace=namespace, port=network.port))
    network.refuse()
    time.sleep(1.0)  # the blip itself: there is nothing to wait for but its length
    network.accept()
    control_plane.apply(flow("after-blip"), namespace=namespace)
    wait_for(lambda: mesh.flow("after-blip"), "the push by the same leader", 30)
    assert leader.leading()
    assert not standby.leading()
    assert mesh.registry.epoch == 1


def test_a_leader_that_another_epoch_superseded_ends(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    operator = start_operator()
    wait_for(lambda: mesh.registry.pushes, "the first push")
    with mesh.lock:
        mesh.registry.epoch += 1
    control_plane.apply(flow("late"), namespace=namespace)
    assert operator.process.wait(20) == LOST
    assert "late" not in mesh.names()
