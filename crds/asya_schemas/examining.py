"""Checks a value against its schema and encodes it: in place if that is cheap, else in the other process."""

from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import FEW_VALUES, places
from asya_crds.offloading import Offload
from asya_crds.violation import ArgumentCheck, Violation
from asya_schemas.compiling import compile_schema
from asya_schemas.searching import Search

MANY_MISTAKES = 1_000

Examined = tuple[Sequence[Violation], str]
"""The violations, and the value's JSON text ("" if there are violations)."""


class SchemaChecker:
    """Keeps the promise of asya_gateway.domain.ports.Examiner."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    async def __call__(self, check: ArgumentCheck | None, value: Any) -> Examined:
        """Check and encode. Raises OffloadFailed, and ValueError or TypeError if the value is not JSON."""
        return await self.offloaded(check, value) if takes_long(check, value) else examined(check, value)

    async def offloaded(self, check: ArgumentCheck | None, value: Any) -> Examined:
        """Check and encode in the other process. Raises what a call raises."""
        schema = check.schema if isinstance(check, Search) else None
        violations, text = await self._offload.run(f"{__name__}:elsewhere", schema, value)
        return [Violation(*each) for each in violations], text


def takes_long(check: ArgumentCheck | None, value: Any) -> bool:
    """Whether checking and encoding this value would block the event loop too long."""
    count = places(value, FEW_VALUES)
    if count > FEW_VALUES:
        return True
    if not isinstance(check, Search):
        return False
    # Reporting a mistake in each of a thousand places takes some hundredths of a second.
    return check.takes_long(value, count) or (count > MANY_MISTAKES and not check.matches(value))


def examined(check: ArgumentCheck | None, value: Any) -> Examined:
    """Check and encode in this process."""
    violations = () if check is None else check(value)
    return violations, "" if violations else jsontext.dumps(value)


def elsewhere(schema: dict[str, Any] | None, value: Any) -> tuple[list[tuple[str, str]], str]:
    """Runs in the other process; returns plain values."""
    violations, text = examined(None if schema is None else compile_schema(schema, known_good=True), value)
    return [(each.path, each.message) for each in violations], text
