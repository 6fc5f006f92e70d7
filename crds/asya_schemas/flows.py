"""The schemas of a flow: whether they can be used, and their compiled checks."""

from typing import Any

from asya_crds.flow import Flow
from asya_crds.flows_file import InvalidFlow
from asya_crds.mistakes import FieldMistake
from asya_crds.schema_walk import BrokenSchema, Path
from asya_crds.violation import ArgumentCheck
from asya_schemas.compiling import compile_schema

ANYTHING: dict[str, Any] = {}


def check_flow(flow: Flow) -> None:
    """Raises InvalidFlow naming each schema that cannot be used, and the place in it."""
    compile_flow(flow)


def compile_flow(flow: Flow) -> tuple[ArgumentCheck, ArgumentCheck | None]:
    """Checks of arguments (inputSchema) and of results (outputSchema; None if the flow has none).

    Raises InvalidFlow exactly when check_flow does, so that every accepted flow can be served.
    """
    if flow.mcp is None:
        return compile_schema(ANYTHING, known_good=True), None
    mistakes: list[FieldMistake] = []
    checks = {
        field: _compiled(("mcp", field), schema, mistakes)
        for field, schema in (("inputSchema", flow.mcp.input_schema), ("outputSchema", flow.mcp.output_schema))
        if schema is not None
    }
    arguments = checks["inputSchema"]
    if mistakes or arguments is None:
        raise InvalidFlow(mistakes)
    return arguments, checks.get("outputSchema")


def _compiled(path: Path, schema: dict[str, Any], mistakes: list[FieldMistake]) -> ArgumentCheck | None:
    try:
        return compile_schema(schema, known_good=True)
    except BrokenSchema as error:
        mistakes.append(FieldMistake(path, str(error), error.path))
        return None
