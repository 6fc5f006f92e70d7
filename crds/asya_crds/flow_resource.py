"""A Flow resource (crds/flow.yaml): the words of flows.yaml as a Kubernetes object."""

from collections.abc import Mapping
from typing import Any

from asya_crds.flow import Flow, FlowName, FlowSpec
from asya_crds.flows_file import FlowCheck, InvalidFlow, flow_of, no_more
from asya_crds.mistakes import FieldMistake


class FlowResourceSpec(FlowSpec):
    """The spec of a Flow resource: a flow whose name may stand in metadata.name instead."""

    name: FlowName | None = None


def resource_flow_name(body: Mapping[str, Any]) -> str:
    """The name that callers see: spec.name, else metadata.name."""
    spec = body.get("spec")
    name = spec.get("name") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) and name else str(body["metadata"]["name"])


def flow_from_resource(body: Mapping[str, Any], check: FlowCheck = no_more) -> Flow:
    """The flow that a Flow resource describes. Raises InvalidFlow naming every field that is wrong.

    The API server has checked the schema already; what it cannot express (the root of an input schema, typing
    mistakes inside a block that it pruned, ...) is checked here with the same models that read flows.yaml.
    """
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise InvalidFlow([FieldMistake(("spec",), "expected an object")])
    return flow_of({**spec, "name": resource_flow_name(body)}, check)
