"""The schema checker behind the domain's port."""

from collections.abc import Sequence
from typing import Any

from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.errors import Overloaded
from asya_gateway.domain.task import JsonText
from asya_schemas.examining import Examiner


class Examining:
    """ports.Examiner: values that take long are held against their schema in another process."""

    def __init__(self, offload: Offload) -> None:
        self._examiner = Examiner(offload)

    async def __call__(self, check: ArgumentCheck | None, value: Any) -> tuple[Sequence[Violation], JsonText]:
        """Raises Overloaded where the other process cannot be had."""
        try:
            return await self._examiner(check, value)
        except OffloadFailed as error:
            raise Overloaded(f"large arguments cannot be checked at the moment: {error}") from None
