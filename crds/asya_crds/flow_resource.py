"""A Flow resource (crds/flow.yaml): the words of flows.yaml as a Kubernetes object."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from asya_crds.flow import Flow, FlowName, FlowSpec

VERSION = "asya.sh/v1alpha1"
PLURAL = "flows"


class FlowResourceSpec(FlowSpec):
    """The spec of a Flow resource: a flow whose name may stand in metadata.name instead."""

    name: FlowName | None = None


class InvalidFlow(ValueError):
    """The object is no flow that can be served; the text names each field and what was expected."""


def resource_flow_name(body: Mapping[str, Any]) -> str:
    """The name that callers see: spec.name, else metadata.name."""
    spec = body.get("spec")
    name = spec.get("name") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) and name else str(body["metadata"]["name"])


def flow_from_resource(body: Mapping[str, Any]) -> Flow:
    """The flow that a Flow resource describes. Raises InvalidFlow naming every field that is wrong.

    The API server has checked the schema already; what it cannot express (the root of an input schema, typing
    mistakes inside a block that it pruned, ...) is checked here with the same models that read flows.yaml.
    """
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise InvalidFlow("spec: expected an object")
    try:
        return Flow.model_validate({**spec, "name": resource_flow_name(body)})
    except ValidationError as error:
        raise InvalidFlow(describe(error)) from None


def describe(error: ValidationError) -> str:
    """Every violation as `field.path: what was expected`, separated by `; `."""
    return "; ".join(_violation(item["loc"], item["msg"]) for item in error.errors(include_url=False))


def _violation(location: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path and not message.startswith(path) else message
