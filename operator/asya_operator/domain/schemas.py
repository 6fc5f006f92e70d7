"""Whether a JSON Schema (2020-12) can be used at all; each schema is compiled once."""

import json
from functools import lru_cache
from typing import Any

import jsonschema_rs

from asya_crds.flow import Flow


def schema_problem(flow: Flow) -> str | None:
    """What is wrong with the flow's schemas, naming the field; None where both compile."""
    if flow.mcp is None:
        return None
    for field, schema in (("mcp.inputSchema", flow.mcp.input_schema), ("mcp.outputSchema", flow.mcp.output_schema)):
        if schema is not None and (problem := _compile(json.dumps(schema, sort_keys=True))):
            return f"{field}: {problem}"
    return None


@lru_cache(maxsize=4096)
def _compile(text: str) -> str | None:
    try:
        jsonschema_rs.validator_for(json.loads(text), retriever=_refuse)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return str(getattr(error, "message", error)).splitlines()[0][:500]
    return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"$ref {uri}: only references inside the schema are followed")
