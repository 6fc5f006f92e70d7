"""Whether a live object still matches what we applied, and who owns its number of replicas."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_operator.domain.views import Body


def contains(live: Any, wanted: Any) -> bool:
    """Whether `live` contains everything in `wanted`. It may contain more (defaults, other managers' fields).

    Lists of named items are compared by name, because admission may add items. A quantity that the API server writes in
    another form looks like a difference; that costs one apply that changes nothing.
    """
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(contains(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return isinstance(live, Sequence) and not isinstance(live, str) and _contains_items(live, wanted)
    return bool(live == wanted)


def _contains_items(live: Sequence[Any], wanted: Sequence[Any]) -> bool:
    if wanted and all(isinstance(item, Mapping) and "name" in item for item in wanted):
        by_name = {item.get("name"): item for item in live if isinstance(item, Mapping)}
        return all(contains(by_name.get(item["name"]), item) for item in wanted)
    return len(live) == len(wanted) and all(contains(a, b) for a, b in zip(live, wanted, strict=True))


def owns_replicas(live: Body, manager: str) -> bool:
    """Whether this field manager applied `spec.replicas` itself (not through the scale subresource)."""
    for entry in live["metadata"].get("managedFields") or []:
        fields = entry.get("fieldsV1") or {}
        plain = entry.get("manager") == manager and not entry.get("subresource")
        if plain and "f:replicas" in (fields.get("f:spec") or {}):
            return True
    return False
