"""Conditions by the Kubernetes API conventions ("Typical status properties"), computed and merged purely."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

MAX_MESSAGE = 32_768


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition to report. `reason` is one CamelCase word; `message` tells a user what to do."""

    type: str
    state: ConditionStatus
    reason: str
    message: str

    @property
    def holds(self) -> bool:
        """Whether the condition is True."""
        return self.state is ConditionStatus.TRUE


def merge(
    existing: Sequence[Mapping[str, Any]], wanted: Iterable[Condition], generation: int, now: datetime
) -> list[dict[str, Any]] | None:
    """The conditions to write, or None if all of them are already written.

    `lastTransitionTime` changes only with the status; conditions of other writers stay as they are.
    """
    result = [dict(item) for item in existing]
    places = {item.get("type"): index for index, item in enumerate(result)}
    changed = False
    for condition in wanted:
        place = places.get(condition.type)
        before = result[place] if place is not None else None
        after = _render(condition, before, generation, now)
        if before == after:
            continue
        changed = True
        if place is None:
            result.append(after)
        else:
            result[place] = after
    return result if changed else None


def _render(condition: Condition, before: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    since = before.get("lastTransitionTime") if before and before.get("status") == condition.state.value else None
    return {
        "type": condition.type,
        "status": condition.state.value,
        "observedGeneration": generation,
        "lastTransitionTime": since or now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reason": condition.reason,
        "message": condition.message[:MAX_MESSAGE],
    }


def state_of(body: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    """The object's current condition of this type."""
    for item in (body.get("status") or {}).get("conditions") or []:
        if isinstance(item, Mapping) and item.get("type") == type_:
            return item
    return None
