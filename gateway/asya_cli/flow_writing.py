"""Writes a flow to the ConfigMap or a Flow resource, after completing it and checking it like the operator."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from asya_cli.flow_output import show_diff, show_text_diff

if TYPE_CHECKING:
    from asya_cli.flows_cluster import FlowsCluster
    from asya_crds.flow import Flow

UNCHECKED = (
    "note: patterns and references of the schemas are checked by the operator"
    " (here, too, where asya[gateway] or asya[operator] is installed)"
)


class Where(StrEnum):
    """Where a flow is written."""

    CONFIGMAP = "configmap"
    RESOURCE = "resource"


async def write(cluster: "FlowsCluster", name: str, flow: dict[str, Any], where: Where, *, dry_run: bool) -> bool:
    """Write the flow; returns whether there is anything to wait for."""
    from asya_cli.flows_editing import expose as expose_in
    from asya_cli.flows_editing import find

    if where is Where.RESOURCE:
        existing = next((body for body in await cluster.resources() if body["metadata"]["name"] == name), None)
        standing = (existing or {}).get("spec")
        # Applied as a whole, because fields that an apply leaves out are removed from its field manager.
        spec = _with(standing or {}, _complete(name, flow, standing))
        check({**spec, "name": name})
        applied = await cluster.apply(name, spec, dry_run=dry_run)
        show_diff((existing or {}).get("spec") or {}, applied["spec"], f"Flow {name}")
        return True

    def change(data: dict[str, str]) -> dict[str, str]:
        place = find(data, name)
        complete = {"name": name, **_complete(name, flow, place.value if place else None)}
        check(_with(place.value if place else {}, complete))
        return expose_in(data, complete)

    before, after = await cluster.edit(change, dry_run=dry_run)
    show_text_diff(before, after)
    if before == after:
        typer.echo(f"{name} is already exposed like this", err=True)
    return True


def _complete(name: str, flow: dict[str, Any], existing: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields to write: a new flow gets its defaults; in an existing one only the given fields change."""
    from asya_cli.errors import UsageProblem
    from asya_cli.flows_editing import same
    from asya_crds.contract import camel

    if existing is not None:
        standing = {camel(key): value for key, value in existing.items()}
        merged = {key: _merged(standing.get(key), value) for key, value in flow.items()}
        return {key: value for key, value in merged.items() if not same(value, standing.get(key, ...))}
    if not flow.get("description"):
        raise UsageProblem("--description: required for a new flow, since callers choose by it")
    complete = {"entrypoint": name, **flow}
    if "mcp" not in complete and "a2a" not in complete:
        complete["mcp"] = {}
    return complete


def _merged(existing: Any, named: Any) -> Any:
    """Inside `mcp` and `a2a`, too, only the given fields change."""
    return _with(existing, named) if isinstance(existing, Mapping) and isinstance(named, Mapping) else named


def _with(existing: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with these fields, whose names are camelCase, in whatever spelling it has them."""
    from asya_crds.contract import camel

    return {key: value for key, value in existing.items() if camel(key) not in fields} | dict(fields)


def check(flow: Mapping[str, Any]) -> None:
    """Refuse a flow that the operator would refuse."""
    from asya_cli.errors import UsageProblem
    from asya_crds.flows_file import InvalidFlow, flow_of

    try:
        check = _schema_checker()
        read = flow_of(flow)
        if check is not None:
            check(read)
    except InvalidFlow as error:
        raise UsageProblem(str(error)) from None
    if check is None and read.mcp is not None and read.mcp.model_fields_set & {"input_schema", "output_schema"}:
        typer.echo(UNCHECKED, err=True)


def _schema_checker() -> "Callable[[Flow], None] | None":
    """The operator's check of schemas; None if the schema engine is not installed, as in the base install."""
    try:
        from asya_schemas.flows import check_flow
    except ModuleNotFoundError as error:
        if error.name != "jsonschema_rs":
            raise
        return None
    return check_flow
