"""Conditions keep the Kubernetes API conventions ("Typical status properties")."""

from datetime import UTC, datetime

from asya_crds.flow import Flow
from asya_operator.domain.conditions import Condition, ConditionStatus, merge
from asya_operator.domain.programming import Ledger, MeshState, Pod, programmed

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def condition(state: ConditionStatus = ConditionStatus.TRUE, message: str = "m") -> Condition:
    return Condition("Accepted", state, "R", message)


def test_nothing_is_written_where_nothing_changed() -> None:
    written = merge([], [condition()], 1, THEN)
    assert written is not None
    assert merge(written, [condition()], 1, NOW) is None


def test_the_transition_time_changes_with_the_status_alone() -> None:
    # "lastTransitionTime is the last time the condition transitioned from one status to another."
    written = merge([], [condition()], 1, THEN) or []
    reworded = merge(written, [condition(message="n")], 2, NOW) or []
    assert reworded[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert reworded[0]["observedGeneration"] == 2
    turned = merge(written, [condition(ConditionStatus.FALSE)], 2, NOW) or []
    assert turned[0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_conditions_of_others_stay() -> None:
    other = {"type": "Synced", "status": "True"}
    assert (merge([other], [condition()], 1, NOW) or [])[0] == other


def flow(description: str = "") -> Flow:
    return Flow(name="f", entrypoint="a", description=description)


def test_programmed_waits_for_the_slowest_pod_and_names_it() -> None:
    ledger = Ledger()
    ledger.pushed({"f": flow()}, 7)
    behind = programmed(flow(), ledger, MeshState(7, (Pod("api-0", 7), Pod("api-1", 6))), None)
    assert (behind.state, behind.reason) == (ConditionStatus.FALSE, "Pending")
    assert "1 of 2" in behind.message
    assert "api-1" in behind.message
    assert programmed(flow(), ledger, MeshState(7, (Pod("api-0", 7), Pod("api-1", 8))), None).holds


def test_a_change_of_one_flow_leaves_the_others_programmed() -> None:
    ledger = Ledger()
    ledger.pushed({"f": flow()}, 7)
    ledger.pushed({"f": flow(), "g": Flow(name="g", entrypoint="a")}, 8)
    assert ledger.since(flow()) == 7
    ledger.pushed({"f": flow("changed")}, 9)
    assert ledger.since(flow("changed")) == 9
    assert ledger.since(flow()) is None


def test_without_pods_nothing_is_programmed() -> None:
    ledger = Ledger()
    ledger.pushed({"f": flow()}, 7)
    assert programmed(flow(), ledger, MeshState(7), None).reason == "NoGatewayPods"
    assert programmed(flow(), ledger, None, None).reason == "GatewayUnreachable"
    assert programmed(flow(), Ledger(), None, "mesh: 503").reason == "PushFailed"
    assert programmed(None, ledger, MeshState(7), None).reason == "NotAccepted"
