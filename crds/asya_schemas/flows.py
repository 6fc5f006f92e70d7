"""The schemas of a flow: whether they can be used, and their compiled checks."""

from typing import Any, NamedTuple

from asya_crds.flow import Flow, McpExposure
from asya_crds.flows_file import InvalidFlow
from asya_crds.mistakes import FieldMistake
from asya_crds.rounds.schemas import call_schema
from asya_crds.schema_walk import BrokenSchema, Path
from asya_crds.violation import ArgumentCheck
from asya_schemas.compiling import compile_schema

ANYTHING: dict[str, Any] = {}


def check_flow(flow: Flow) -> None:
    """Raises InvalidFlow naming each schema that cannot be used, and the place in it."""
    compile_flow(flow)


class FlowChecks(NamedTuple):
    """The compiled checks of a flow.

    `call` checks what the first actor gets: the arguments, and the answers of a flow that asks for inputs. `arguments`
    checks the arguments alone, before anything is asked; None for a flow that asks nothing. `result` checks results;
    None without an outputSchema.
    """

    call: ArgumentCheck
    result: ArgumentCheck | None = None
    arguments: ArgumentCheck | None = None


def compile_flow(flow: Flow) -> FlowChecks:
    """Raises InvalidFlow exactly when check_flow does, so that every accepted flow can be served."""
    if flow.mcp is None:
        return FlowChecks(compile_schema(ANYTHING, known_good=True))
    mistakes: list[FieldMistake] = []
    checks = {
        field: _compiled(("mcp", field), schema, mistakes)
        for field, schema in (("inputSchema", flow.mcp.input_schema), ("outputSchema", flow.mcp.output_schema))
        if schema is not None
    }
    arguments = checks["inputSchema"]
    call = arguments if arguments is None or not flow.mcp.input else _compiled_call(flow.mcp, mistakes)
    if mistakes or arguments is None or call is None:
        raise InvalidFlow(mistakes)
    return FlowChecks(call, checks.get("outputSchema"), arguments if flow.mcp.input else None)


def _compiled_call(exposure: McpExposure, mistakes: list[FieldMistake]) -> ArgumentCheck | None:
    """The check of arguments together with answers. Only a schema of arguments that compiles is extended."""
    try:
        schema = call_schema(exposure.input_schema, exposure.input_key, exposure.input)
        return compile_schema(schema, known_good=True)
    except BrokenSchema as error:
        mistakes.append(FieldMistake(("mcp", "input"), str(error)))
        return None


def _compiled(path: Path, schema: dict[str, Any], mistakes: list[FieldMistake]) -> ArgumentCheck | None:
    try:
        return compile_schema(schema, known_good=True)
    except BrokenSchema as error:
        mistakes.append(FieldMistake(path, str(error), error.path))
        return None
