"""Message attributes: those that the transport itself writes, and those of other programs that copies keep."""

from collections.abc import Mapping
from typing import Any

ACTOR = "asya-actor"
"""The actor whose queue the message was sent to: dead letters of all actors are in one queue."""
DELIVERIES = "asya-deliveries"
"""Deliveries before this copy of the message; for a dead letter, all of them."""
DIED_IN = "asya-died-in"
"""The actor that could not process this dead letter."""
DELAY_LEFT = "asya-delay-left"
"""Seconds of its delay that a message must still wait when it becomes visible."""
OURS = (ACTOR, DELIVERIES, DIED_IN, DELAY_LEFT)
MOST = 10
"""Attributes that a message may have (SQS Developer Guide, "Message metadata")."""

Attributes = Mapping[str, Mapping[str, Any]]


def written(values: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Attributes with these values."""
    return {name: {"DataType": "String", "StringValue": str(value)} for name, value in values.items()}


def text(attributes: Attributes, name: str) -> str:
    """The value; empty if there is none, or if it is not text."""
    value = attributes.get(name, {}).get("StringValue", "")
    return value if isinstance(value, str) else ""


def number(attributes: Attributes, name: str) -> int:
    """The value; 0 if it is not a whole number."""
    value = text(attributes, name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def of_others(attributes: Attributes) -> dict[str, dict[str, Any]]:
    """The attributes of other programs, in the form in which they can be sent again, as many as fit beside ours."""
    kept: dict[str, dict[str, Any]] = {}
    for name, value in attributes.items():
        fields = {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if value.get(key)}
        if name not in OURS and len(fields) == 2 and len(kept) < MOST - len(OURS):
            kept[name] = fields
    return kept


def size(attributes: Attributes) -> int:
    """Bytes that they take of the message: names, types and values count."""
    return sum(len(name.encode()) + sum(map(_length, value.values())) for name, value in attributes.items())


def _length(part: Any) -> int:
    return len(part if isinstance(part, bytes) else str(part).encode())
