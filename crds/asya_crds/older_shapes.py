"""AsyncActor manifests of older shapes, converted to the newest one."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from asya_crds import jsontext
from asya_crds.async_actor import AsyncActorSpec
from asya_crds.mistakes import FieldMistake, InvalidDocument, explain

_CARRIED = ("volumes", "tolerations", "nodeSelector", "initContainers", "terminationGracePeriodSeconds")
"""Pod fields that an actor also has."""
RUNTIME_CONTAINER = "asya-runtime"


class InvalidActor(InvalidDocument):
    """The object is not an actor that can be run."""


def actor_from_resource(body: Mapping[str, Any]) -> tuple[AsyncActorSpec, list[str]]:
    """The actor that an AsyncActor describes, and notes on fields that have no effect here.

    Raises InvalidActor naming every field that is wrong.
    """
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise InvalidActor([FieldMistake(("spec",), "expected an object")])
    if jsontext.deeper_than(spec, jsontext.MAX_DEPTH):
        raise InvalidActor([FieldMistake(("spec",), f"nested deeper than {jsontext.MAX_DEPTH} levels")])
    try:
        modern, notes = modernise(spec, str(body["metadata"]["name"]))
    except (AttributeError, TypeError, ValueError) as error:
        # The API server stores older fields unchecked, so they may contain anything.
        reason = (
            "expected objects and lists in workload, scaling, resiliency and timeout as older manifests have"
            f" them ({error})"
        )
        raise InvalidActor([FieldMistake(("spec",), reason)]) from None
    try:
        actor = AsyncActorSpec.model_validate(modern)
    except ValidationError as error:
        raise InvalidActor(explain(error, AsyncActorSpec)) from None
    unknown = sorted(actor.model_extra or {})
    return actor, notes + [f"spec.{name}: has no effect here" for name in unknown]


def modernise(spec: Mapping[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """Rewrite fields of older shapes. The notes name what cannot be carried over.

    Older: `workload.template` (a pod template with a container `asya-runtime`), `transport`, `timeout`,
    `scaling.minReplicas/maxReplicas`, `resiliency.retry` and `nonRetryableErrors`, an image given as one string.
    """
    modern = {key: value for key, value in spec.items() if value is not None}
    notes: list[str] = []
    modern.setdefault("actor", name)
    if modern.pop("transport", None) is not None:
        notes.append("spec.transport: the queue system is a setting of the operator")
    workload = modern.pop("workload", None)
    if isinstance(workload, Mapping):
        _from_workload(modern, workload, notes)
    scaling = modern.get("scaling")
    if isinstance(scaling, Mapping):
        modern["scaling"] = _scaling(scaling, older=isinstance(workload, Mapping))
    timeout = modern.pop("timeout", None)
    if timeout is not None:
        modern["resiliency"] = {"actorTimeout": _timeout(timeout), **dict(modern.get("resiliency") or {})}
    if isinstance(modern.get("resiliency"), Mapping):
        modern["resiliency"] = _resiliency(modern["resiliency"], notes)
    return modern, notes


def _from_workload(modern: dict[str, Any], workload: Mapping[str, Any], notes: list[str]) -> None:
    if workload.get("kind", "Deployment") != "Deployment":
        notes.append(f"spec.workload.kind: {workload['kind']} is replaced by a Deployment")
    for key in ("replicas", "pythonExecutable"):
        if key in workload:
            modern.setdefault(key, workload[key])
    pod = (workload.get("template") or {}).get("spec") or {}
    containers = [container for container in pod.get("containers") or [] if isinstance(container, Mapping)]
    runtime = next((c for c in containers if c.get("name") == RUNTIME_CONTAINER), containers[0] if containers else {})
    others = [container for container in containers if container is not runtime]
    env = [item for item in runtime.get("env") or [] if isinstance(item, Mapping)]
    handler = next((item.get("value") for item in env if item.get("name") == "ASYA_HANDLER"), None)
    found = {
        "image": runtime.get("image"),
        "handler": handler,
        "imagePullPolicy": runtime.get("imagePullPolicy"),
        "env": [item for item in env if item.get("name") != "ASYA_HANDLER"],
        "resources": runtime.get("resources"),
        "volumeMounts": runtime.get("volumeMounts"),
        "sidecars": [c for c in others if not str(c.get("name", "")).startswith("asya-")],
        **{key: pod.get(key) for key in _CARRIED},
    }
    for key, value in found.items():
        if value:
            modern.setdefault(key, value)
    without_effect = sorted(pod.keys() - {"containers", *_CARRIED})
    notes.extend(f"spec.workload.template.spec.{key}: has no effect here" for key in without_effect)


def _scaling(scaling: Mapping[str, Any], *, older: bool) -> dict[str, Any]:
    renamed = {"minReplicas": "minReplicaCount", "maxReplicas": "maxReplicaCount"}
    result = {renamed.get(key, key): value for key, value in scaling.items()}
    if older:
        # The first operator scaled only on request, and to at most fifty replicas.
        result = {"enabled": False, "maxReplicaCount": 50, **result}
    return result


def _timeout(timeout: Any) -> Any:
    if isinstance(timeout, Mapping):
        timeout = timeout.get("processing")
    return f"{timeout}s" if isinstance(timeout, int) and not isinstance(timeout, bool) else timeout


def _resiliency(block: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    result = {key: value for key, value in block.items() if value is not None}
    retry = result.pop("retry", None)
    never = result.pop("nonRetryableErrors", None)
    if isinstance(retry, Mapping):
        policy = {
            "maxAttempts": retry.get("maxAttempts", 3),
            "backoff": retry.get("policy", "exponential"),
            "initialDelay": retry.get("initialInterval", "1s"),
            "maxInterval": retry.get("maxInterval", "300s"),
            "jitter": retry.get("jitter", True),
        }
        result["policies"] = {"default": policy, **dict(result.get("policies") or {})}
        if retry.get("backoffCoefficient", 2.0) != 2.0:
            notes.append("spec.resiliency.retry.backoffCoefficient: delays double")
    if never:
        result["policies"] = {"asya-never": {"maxAttempts": 1}, **dict(result.get("policies") or {})}
        result["rules"] = [{"errors": list(never), "policy": "asya-never"}, *(result.get("rules") or [])]
    return result
