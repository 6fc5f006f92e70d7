"""The status of an AsyncActor: phase, infrastructure.* and conditions, computed from the cluster's objects (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asya_operator.domain.conditions import Condition, ConditionStatus, state_of
from asya_operator.domain.views import Body


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of the infrastructure. The message says why it is not ready."""

    ready: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class ObservedState:
    """What a reconcile found. `keda` is None if nothing scales the actor; `complaint` is the problem that its
    containers report."""

    queue: PartStatus
    queue_identifier: str
    keda: PartStatus | None
    deployment: Body | None
    scaled: bool
    complaint: str = ""
    queue_url: str = ""


def scaling(live: Body) -> PartStatus:
    """What KEDA reports about a ScaledObject. No report means not ready: KEDA may not run, or may not have looked
    yet."""
    ready = state_of(live, "Ready") or {}
    match ready.get("status"):
        case "True":
            return PartStatus(True)
        case "False":
            return PartStatus(False, f"KEDA: {ready.get('message') or 'not ready'}")
        case _:
            return PartStatus(False, "KEDA has not reported the ScaledObject as ready yet.")


def workload(found: ObservedState) -> PartStatus:
    """Whether the Deployment runs what it should, with enough replicas."""
    live = found.deployment
    if live is None:
        return PartStatus(False, "The Deployment does not exist yet.")
    status: Mapping[str, Any] = live.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0):
        return PartStatus(False, "The Deployment's controller has not seen the change yet.")
    wanted = int((live.get("spec") or {}).get("replicas", 1))
    available, updated = int(status.get("availableReplicas") or 0), int(status.get("updatedReplicas") or 0)
    if available >= wanted and updated >= wanted:
        return PartStatus(True)
    message = f"{available} of {wanted} replicas are available."
    return PartStatus(False, f"{message} {found.complaint or refused_pods(live)}".strip())


def refused_pods(live: Body) -> str:
    """Why the API server refuses a Deployment's pods; "" if it does not."""
    failure = state_of(live, "ReplicaFailure") or {}
    return str(failure.get("message", "")) if failure.get("status") == "True" else ""


def phase(found: ObservedState, work: PartStatus) -> str:
    """Creating until everything is ready; Napping with no replicas, until a message wakes the actor."""
    ready = work.ready and found.queue.ready and (found.keda is None or found.keda.ready)
    if not ready:
        return "Creating"
    replicas = int(((found.deployment or {}).get("spec") or {}).get("replicas", 1))
    return "Napping" if replicas == 0 else "Ready"


def status_of(found: ObservedState) -> dict[str, Any]:
    """The status without its conditions."""
    work = workload(found)
    live = found.deployment or {}
    infrastructure: dict[str, Any] = {
        "queue": {"ready": found.queue.ready, "message": found.queue.message},
        "workload": {
            "ready": work.ready,
            "message": work.message,
            "replicas": int((live.get("spec") or {}).get("replicas", 0)),
            "readyReplicas": int((live.get("status") or {}).get("readyReplicas") or 0),
        },
        "keda": None if found.keda is None else {"ready": found.keda.ready, "message": found.keda.message},
    }
    return {
        "phase": phase(found, work),
        "queueIdentifier": found.queue_identifier,
        "queueUrl": found.queue_url or None,
        "infrastructure": infrastructure,
    }


def conditions_of(found: ObservedState, notes: Sequence[str]) -> list[Condition]:
    """Accepted and Ready for an actor that could be read."""
    work = workload(found)
    message = "The actor is valid." if not notes else "; ".join(notes)
    accepted = Condition("Accepted", ConditionStatus.TRUE, "Accepted" if not notes else "PartlySupported", message)
    named = phase(found, work)
    if named != "Creating":
        good = "Every replica is available." if named == "Ready" else "Scaled to zero; a message wakes it."
        return [accepted, Condition("Ready", ConditionStatus.TRUE, named, good)]
    parts = {"QueueNotReady": found.queue, "WorkloadNotReady": work, "ScalingNotReady": found.keda or PartStatus(True)}
    reason, part = next((reason, part) for reason, part in parts.items() if not part.ready)
    return [accepted, Condition("Ready", ConditionStatus.FALSE, reason, part.message or "Not ready yet.")]


def refused(message: str) -> list[Condition]:
    """Conditions of an invalid actor."""
    return [
        Condition("Accepted", ConditionStatus.FALSE, "Invalid", message),
        Condition("Ready", ConditionStatus.FALSE, "Invalid", "Not run, because it is invalid."),
    ]


def waiting_for_flavors(message: str) -> list[Condition]:
    """Conditions of an actor that waits until its flavors can be read."""
    return [
        Condition("Accepted", ConditionStatus.FALSE, "FlavorNotFound", message),
        Condition("Ready", ConditionStatus.FALSE, "FlavorNotFound", "Not updated until its flavors can be read."),
    ]


def complaint(pods: Sequence[Body]) -> str:
    """What keeps containers from starting, in words that a user can act on; "" if nothing does."""
    for pod in pods:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            waiting = (container.get("state") or {}).get("waiting") or {}
            ended = (container.get("lastState") or {}).get("terminated") or {}
            ended = ended or (container.get("state") or {}).get("terminated") or {}
            if waiting.get("reason") in ("ContainerCreating", "PodInitializing", None) and not ended:
                continue
            said = str(ended.get("message") or waiting.get("message") or ended.get("reason") or "")[:500]
            reason = waiting.get("reason") or ended.get("reason") or "Terminated"
            return f"Container {container.get('name')}: {reason}: {said}{_hint(container, ended, said)}"
    return ""


def _hint(container: Mapping[str, Any], ended: Mapping[str, Any], said: str) -> str:
    broken_start = ended.get("exitCode") in (126, 127, 128) or "executable file not found" in said
    if container.get("name") == "asya-actor" and (broken_start or "No module named" in said):
        return " (the image must contain asya[actor], and the handler's module)"
    return ""
