"""Rules for schemas beyond JSON Schema 2020-12 itself, which keep the cost of checks bounded.

Pure, so that operator, CLI and gateway decide alike. Whether keywords are used correctly is found by compiling the
schema (asya_schemas).
"""

from collections.abc import Iterator
from typing import Any

from asya_crds import jsontext
from asya_crds.schema_cost import MAX_EVALUATIONS, evaluations
from asya_crds.schema_headers import check_headers
from asya_crds.schema_references import REFERENCES, References
from asya_crds.schema_walk import BrokenSchema, subschemas

MAX_SCHEMA_BYTES = 128 * 1024
MAX_SCHEMA_DEPTH = 64
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def check_input_schema(schema: dict[str, Any]) -> None:
    """Rules for an inputSchema. Raises BrokenSchema."""
    check_schema(schema)
    check_headers(schema)


def check_schema(schema: dict[str, Any]) -> None:
    """Rules for every schema. Raises BrokenSchema."""
    if (depth := _depth(schema)) > MAX_SCHEMA_DEPTH:
        raise BrokenSchema(f"expected a schema of at most {MAX_SCHEMA_DEPTH} levels, got {depth} or more")
    try:
        text = jsontext.dumps(schema)
    except (TypeError, ValueError) as error:
        raise BrokenSchema(f"expected plain JSON: {error}") from None
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MAX_SCHEMA_BYTES:
        raise BrokenSchema(f"expected a schema of at most {MAX_SCHEMA_BYTES} bytes of JSON, got {size}")
    for problem in _problems(schema):
        raise problem
    if (count := evaluations(schema, text)) > MAX_EVALUATIONS:
        raise BrokenSchema(
            f"expected that one value is checked against at most {MAX_EVALUATIONS} subschemas, but anyOf, oneOf, "
            f"allOf and $ref multiply to {'more than can be counted' if count == float('inf') else int(count)}"
        )


def _problems(schema: dict[str, Any]) -> Iterator[BrokenSchema]:
    references = References(schema)
    for path, part in subschemas(schema):
        dialect = part.get("$schema")
        if dialect is not None and (not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT):
            yield BrokenSchema(f"expected $schema to be {DIALECT}", (*path, "$schema"))
        if "$id" in part:
            yield BrokenSchema("$id is not supported, references are local (#/$defs/...)", (*path, "$id"))
        for word in REFERENCES:
            target = part.get(word)
            if target is not None and not (isinstance(target, str) and target.startswith("#")):
                yield BrokenSchema(f"expected {word} to begin with #; other documents are never fetched", (*path, word))
            elif target is not None and not references.targets(target):
                # What the engine finds and the rules do not would escape them.
                reason = f"not a JSON Schema: expected {word} to lead to a schema of this document"
                yield BrokenSchema(reason, (*path, word))


def _depth(value: Any) -> int:
    """Levels of nesting. Counting stops shortly after the limit."""
    level, depth = [value], 0
    while level and depth <= MAX_SCHEMA_DEPTH:
        level = [child for node in level for child in _children(node)]
        depth += 1
    return depth


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [child for child in node.values() if isinstance(child, dict | list)]
    return [child for child in node if isinstance(child, dict | list)] if isinstance(node, list) else []
