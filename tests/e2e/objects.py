"""What the tests apply: actors that run the project's image, and flows over them."""

from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import ROOT

HANDLERS = "e2e-handlers"
Object = dict[str, Any]


def image() -> str:
    """The image that the overlay names."""
    overlay = yaml.safe_load((ROOT / "manifests" / "overlays" / "kind" / "kustomization.yaml").read_text())
    named = overlay["images"][0]
    return f"{named['newName']}:{named['newTag']}"


def handlers() -> Object:
    """The handlers as a ConfigMap."""
    text = (Path(__file__).parent / "handlers.py").read_text()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": HANDLERS}, "data": {"handlers.py": text}}


def actor(name: str, handler: str, *, replicas: int = 1, env: list[Object] | None = None, **spec: Any) -> Object:
    """An AsyncActor without an autoscaler (KEDA need not be there)."""
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "AsyncActor",
        "metadata": {"name": name},
        "spec": {
            "actor": name,
            "image": image(),
            "handler": f"handlers.{handler}",
            "replicas": replicas,
            "scaling": {"enabled": False},
            "env": [{"name": "ASYA_ACTOR_CONCURRENCY", "value": "16"}, *(env or [])],
            "volumes": [{"name": "handlers", "configMap": {"name": HANDLERS}}],
            "volumeMounts": [{"name": "handlers", "mountPath": "/app", "readOnly": True}],
            **spec,
        },
    }


def flow(name: str, entrypoint: str, *route_next: str, **spec: Any) -> Object:
    """A Flow that MCP and REST callers see."""
    body = {"entrypoint": entrypoint, "description": f"{name}, by end-to-end tests", "timeout": "5m", "mcp": {}}
    if route_next:
        body["routeNext"] = list(route_next)
    return {"apiVersion": "asya.sh/v1alpha1", "kind": "Flow", "metadata": {"name": name}, "spec": {**body, **spec}}
