"""Implements the domain's ports for work that is slow with large values: it is done in another process."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from asya_crds.large_json import FEW_VALUES, has_few_values, places
from asya_crds.merging import CannotMerge, filled
from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.errors import Overloaded
from asya_gateway.domain.idempotency import digest_of
from asya_gateway.domain.task import JsonText
from asya_schemas.examining import Examined, SchemaChecker


class Examining(SchemaChecker):
    """ports.Examiner: large values are checked against their schema in another process."""

    @override
    async def offloaded(self, check: ArgumentCheck | None, value: Any) -> Examined:
        """Raises Overloaded if the other process is not available."""
        try:
            return await super().offloaded(check, value)
        except OffloadFailed as error:
            raise Overloaded(f"large arguments cannot be checked at the moment: {error}") from None


class Digesting:
    """ports.Digester: large values are digested in another process."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    async def __call__(self, *parts: Any) -> bytes:
        """Raises Overloaded if the other process is not available."""
        if places(list(parts), FEW_VALUES) <= FEW_VALUES:
            return digest_of(*parts)
        try:
            digest: bytes = await self._offload.run(f"{digest_of.__module__}:{digest_of.__name__}", *parts)
        except OffloadFailed as error:
            raise Overloaded(f"the key of a large body cannot be checked at the moment: {error}") from None
        return digest


class Filling:
    """ports.Filler: a large checkpoint is decoded, filled and encoded in another process."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    async def __call__(self, checkpoint: JsonText, answer: JsonText, fields: Sequence[Mapping[str, Any]]) -> JsonText:
        """Raises CannotMerge, and Overloaded if the other process is not available."""
        if has_few_values(checkpoint) and has_few_values(answer):
            return filled(checkpoint, answer, fields)
        try:
            text: str = await self._offload.run("asya_crds.merging:filled", checkpoint, answer, list(fields))
        except OffloadFailed as error:
            raise Overloaded(f"a large answer cannot be taken now: {error}") from None
        except ValueError as error:
            raise CannotMerge(str(error)) from None
        return text
