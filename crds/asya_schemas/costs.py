"""What a schema's keywords cost at one place of a value beyond one evaluation each: some look up each name in a long
list, or compare with each entry."""

import math
from typing import Any

from asya_crds.schema_walk import Schema, subschemas

# All in units of one plain evaluation, about 50 ns on a slow core.
_NAME, _NAME_REQUIRED, _NODE = 1 / 3, 1 / 2, 3 / 4
_RATIONAL = 500
"""Units of a multipleOf that is not an integer, because numbers such as 1e308 are divided exactly."""


def cost_at_one_place(schema: Schema, weight: int) -> int:
    """Most units that one place of the value can cost; `weight` is the number of subschemas that apply there."""
    return weight * max((math.ceil(_own(part)) for _, part in subschemas(schema)), default=1)


def _own(schema: Schema) -> float:
    dependent = _map(schema.get("dependentRequired"))
    names = len(dependent) + sum(len(each) for each in dependent.values() if isinstance(each, list))
    names += len(_map(schema.get("dependentSchemas")))
    units = 1 + names * _NAME
    if isinstance(required := schema.get("required"), list):
        units += len(required) * _NAME_REQUIRED
    if isinstance(entries := schema.get("enum"), list):
        # Scalar entries are found by one lookup; lists and objects are compared one by one.
        units += sum(_nodes(entry) for entry in entries if isinstance(entry, dict | list)) * _NODE
    if isinstance(constant := schema.get("const"), dict | list):
        units += _nodes(constant) * _NODE
    if isinstance(schema.get("multipleOf"), float):
        units += _RATIONAL
    return units


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _nodes(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting:
        node = waiting.pop()
        count += 1
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return count
