"""What a card's signature covers: canonical JSON (RFC 8785) of the card without its signatures (section 8.4.1)."""

from typing import Any

import rfc8785

Json = dict[str, Any]

SIGNATURES = "signatures"


def canonical_forms(served: Json, pure: Json) -> list[bytes]:
    """The bytes that verifiers may compute for a card, which depend on how they read it: `served` as it is sent, or
    only the members of 1.0 (`pure`), without those that have default values, or without any empty member, as the
    Python SDK does. Equal forms appear once."""
    of_spec = _without_defaults(pure)
    forms = (served, of_spec, _without_empty(of_spec))
    return list(dict.fromkeys(rfc8785.dumps(_unsigned(form)) for form in forms))


def _unsigned(card: Json) -> Json:
    return {name: value for name, value in card.items() if name != SIGNATURES}


_OPTIONAL = frozenset({"list", "extensions", "securityRequirements", "examples", "inputModes", "outputModes", "tenant"})
"""Members that are neither REQUIRED nor `optional` in the proto, and may be empty."""


def _without_defaults(value: Any) -> Any:
    """Without what is not REQUIRED and has its default value. `optional` members that are present stay, whatever they
    are, and so do objects."""
    match value:
        case dict():
            kept = {name: _without_defaults(item) for name, item in value.items()}
            return {name: item for name, item in kept.items() if name not in _OPTIONAL or item not in ("", [])}
        case list():
            return [_without_defaults(item) for item in value]
        case _:
            return value


def _without_empty(value: Any) -> Any:
    match value:
        case dict():
            kept = {name: _without_empty(item) for name, item in value.items()}
            return {name: item for name, item in kept.items() if item not in ("", [], {})}
        case list():
            items = [_without_empty(item) for item in value]
            return [item for item in items if item not in ("", [], {})]
        case _:
            return value
