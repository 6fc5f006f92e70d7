"""A generation's documents, read without blocking the event loop."""

from dataclasses import dataclass
from datetime import datetime

from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.registry_text import Parts, parts_of
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.registry import RegistryRow


@dataclass(frozen=True, slots=True)
class RowDocuments:
    """The ConfigMap's flows come first, and the first flow with a name is served (docs/protocols/registry.md)."""

    generation: int
    documents: tuple[Parts, ...]
    changed_at: datetime | None = None


async def documents_of(row: RegistryRow, offload: Offload) -> RowDocuments:
    """Raises Unavailable if a large row cannot be read now."""
    try:
        parts = (await parts_of(row.configmap, offload), await parts_of(row.resources, offload))
    except OffloadFailed as error:
        raise Unavailable(f"the large registry cannot be read now: {error}") from None
    return RowDocuments(row.generation, parts, row.changed_at)
