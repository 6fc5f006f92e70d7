"""The Deployment of an actor: its image with our worker, or with a foreign sidecar and the runtime script."""

import math
from typing import Any

from asya_crds.async_actor import SidecarImage, StateProxy
from asya_crds.durations import parse_duration
from asya_operator.domain.resources.common import (
    NAME_LABEL,
    ActorResource,
    Document,
    Surroundings,
    labels,
    metadata,
    restricted,
    without_nothing,
)
from asya_operator.domain.resources.environments import (
    SOCKET_FOLDER,
    STATE_FOLDER,
    proxy_environment,
    runtime_environment,
    sidecar_environment,
    worker_environment,
)

STATE_MOUNT = {"name": "asya-state", "mountPath": STATE_FOLDER}
"""A separate volume, because a connector creates its socket but not the folder that contains it."""
RUNTIME_SCRIPT = "/opt/asya/asya_runtime.py"
METRICS_PORT = 9090
GRACE_PERIOD = 60
"""Default in seconds. The worker lets its messages run for 25 of them, then returns them to the queue."""
STARTUP_TIMEOUT = 120.0
"""Default in seconds for loading a handler."""
STARTUP_PERIOD = 2
"""Seconds between two checks of the startup probe."""


def deployment(actor: ActorResource, around: Surroundings, *, replicas: int | None) -> Document:
    """The Deployment to apply. With `replicas` None, the autoscaler owns their number."""
    spec: Document = {
        "selector": {"matchLabels": {NAME_LABEL: actor.name}},
        "template": {"metadata": {"labels": labels(actor)}, "spec": _pod(actor, around)},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(actor, around), "spec": spec}


def _pod(actor: ActorResource, around: Surroundings) -> Document:
    spec = actor.spec
    foreign = spec.foreign_sidecar is not None
    main = [_runtime(actor, around), _sidecar(actor, around)] if foreign else [_worker(actor, around)]
    proxies = [_state_proxy(proxy, around) for proxy in spec.state_proxy]
    return without_nothing(
        {
            "serviceAccountName": around.service_account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": spec.termination_grace_period_seconds or GRACE_PERIOD,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [_held(container, around) for container in spec.init_containers],
            "containers": [*main, *proxies, *(_held(container, around) for container in spec.sidecars)],
            "volumes": [*spec.volumes, *(_runtime_volumes(around) if foreign else []), *_state_volumes(actor)],
            "nodeSelector": spec.node_selector,
            "tolerations": spec.tolerations,
        }
    )


def _worker(actor: ActorResource, around: Surroundings) -> Document:
    """The actor's own image, which contains `asya[actor]`."""
    spec = actor.spec
    command = [spec.python_executable, "-m", "asya_cli", "actor", *(["--crew"] if actor.crew else [])]
    return without_nothing(
        {
            "name": "asya-actor",
            "image": spec.image,
            "imagePullPolicy": spec.image_pull_policy.value,
            "command": command,
            "env": worker_environment(actor, around),
            "envFrom": _transport_secret(around),
            "ports": [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}],
            "startupProbe": _startup_probe(spec.startup_timeout),
            "livenessProbe": _probe("/health", period=10, failures=3),
            "readinessProbe": _probe("/health/ready", period=5, failures=2),
            "resources": spec.resources,
            "volumeMounts": [*spec.volume_mounts, *_state_mounts(actor)],
            "securityContext": restricted(around.run_as_user),
        }
    )


def _runtime(actor: ActorResource, around: Surroundings) -> Document:
    """The handler behind a Unix socket, for a sidecar that consumes the queue."""
    spec = actor.spec
    script = {"name": "asya-runtime", "mountPath": RUNTIME_SCRIPT, "subPath": "asya_runtime.py", "readOnly": True}
    return without_nothing(
        {
            "name": "asya-runtime",
            "image": spec.image,
            "imagePullPolicy": spec.image_pull_policy.value,
            "command": [spec.python_executable, RUNTIME_SCRIPT],
            "env": runtime_environment(actor),
            "resources": spec.resources,
            "volumeMounts": [
                *spec.volume_mounts,
                script,
                {"name": "asya-socket", "mountPath": SOCKET_FOLDER},
                *_state_mounts(actor),
            ],
            "securityContext": restricted(around.run_as_user),
        }
    )


def _sidecar(actor: ActorResource, around: Surroundings) -> Document:
    """The third-party sidecar, with the environment that all its versions read."""
    sidecar = actor.spec.sidecar
    assert sidecar is not None, "only called where there is one"
    policy = sidecar.image.pull_policy if isinstance(sidecar.image, SidecarImage) else sidecar.image_pull_policy
    return without_nothing(
        {
            "name": "asya-sidecar",
            "image": actor.spec.foreign_sidecar,
            "imagePullPolicy": policy.value if policy else "IfNotPresent",
            "env": sidecar_environment(actor, around),
            "envFrom": _transport_secret(around),
            "ports": [{"name": "metrics", "containerPort": 8080, "protocol": "TCP"}],
            "resources": sidecar.resources,
            "volumeMounts": [{"name": "asya-socket", "mountPath": SOCKET_FOLDER}],
            "securityContext": restricted(around.run_as_user),
        }
    )


def _state_proxy(proxy: StateProxy, around: Surroundings) -> Document:
    """The connector of a mount, which listens at CONNECTOR_SOCKET."""
    connector = proxy.connector
    policy = connector.image_pull_policy
    return without_nothing(
        {
            "name": f"asya-state-proxy-{proxy.name}",
            "image": connector.image,
            "imagePullPolicy": policy.value if policy else "IfNotPresent",
            "env": proxy_environment(proxy),
            "resources": connector.resources,
            "volumeMounts": [STATE_MOUNT],
            "securityContext": restricted(around.run_as_user),
        }
    )


def _state_mounts(actor: ActorResource) -> list[Document]:
    return [STATE_MOUNT] if actor.spec.state_proxy else []


def _state_volumes(actor: ActorResource) -> list[Document]:
    return [{"name": STATE_MOUNT["name"], "emptyDir": {}}] if actor.spec.state_proxy else []


def _runtime_volumes(around: Surroundings) -> list[Document]:
    sockets = {"name": "asya-socket", "emptyDir": {}}
    return [sockets, {"name": "asya-runtime", "configMap": {"name": around.runtime_configmap}}]


def _transport_secret(around: Surroundings) -> list[Document]:
    return [{"secretRef": {"name": around.secret, "optional": True}}] if around.secret else []


def _startup_probe(timeout: str | None) -> Document:
    """A separate probe for loading. Its path must also exist in older workers, because the actor's image contains the
    version that it was built with."""
    seconds = STARTUP_TIMEOUT if timeout is None else parse_duration(timeout)
    return _probe("/health?probe=startup", period=STARTUP_PERIOD, failures=max(1, math.ceil(seconds / STARTUP_PERIOD)))


def _probe(path: str, *, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _held(container: Any, around: Surroundings) -> Document:
    """A user's container, restricted in the same way where it sets nothing itself."""
    return {"securityContext": restricted(around.run_as_user), **container}
