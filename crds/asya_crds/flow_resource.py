"""A Flow resource (crds/flow.yaml): an entry of flows.yaml as a Kubernetes object."""

from collections.abc import Mapping
from typing import Any

from asya_crds.flow import Flow
from asya_crds.flows_file import FlowCheck, InvalidFlow, flow_of, no_more
from asya_crds.mistakes import FieldMistake


def resource_flow_name(body: Mapping[str, Any]) -> str:
    """The name that callers see: spec.name, else metadata.name."""
    spec = body.get("spec")
    name = spec.get("name") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) and name else str(body["metadata"]["name"])


def flow_from_resource(body: Mapping[str, Any], check: FlowCheck = no_more) -> Flow:
    """The flow that a Flow resource describes. Raises InvalidFlow naming every field that is wrong.

    The API server has already checked the CRD's schema. What that cannot express (the root of an input schema,
    misspelled fields in a pruned block, ...) is checked here by the models that read flows.yaml.
    """
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise InvalidFlow([FieldMistake(("spec",), "expected an object")])
    emptied: dict[str, Any] = {
        name: {} for name in ("mcp", "a2a") if name in spec and spec[name] is None and _is_applied(body, name)
    }
    return flow_of({**spec, **emptied, "name": resource_flow_name(body)}, check)


def _is_applied(body: Mapping[str, Any], block: str) -> bool:
    """Whether a field manager owns this block (server-side apply). Applying `mcp: {}` over earlier fields stores null,
    which cannot be told from a null that was written. To remove the block, leave it out."""
    metadata = body.get("metadata")
    managers = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    return any(
        entry.get("operation") == "Apply" and f"f:{block}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in managers or ()
    )
