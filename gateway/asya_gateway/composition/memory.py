"""How the memory budget of a process is divided: bodies get what compiled schemas and caches leave."""

from typing import NamedTuple

from asya_gateway.composition.container import memory_budget
from asya_gateway.domain.budget import Budget
from asya_gateway.settings import Settings
from asya_schemas.compiling import keep_at_most

SCHEMAS_PART = 16
"""Compiled schemas may use one part in so many of the memory budget."""
CACHE_PART = 48
"""So may each cache: sessions, callers, profiles, documents of clients, tasks with destinations."""
CACHES = 5
MOST_CACHED = 64 * 1024 * 1024
"""Most bytes of each cache."""
COUNTED_PART = 4
"""The names that one limit counts may use one part in so many of a cache."""
COUNTED = 6
"""Limits that count names: messages of callers, calls of flows, bad credentials and OAuth requests of sources, and
documents of clients by host and by source."""


class Memory(NamedTuple):
    """What the parts of a process may use. `cache`: bytes of each cache; `counted`: bytes of the names that each limit
    counts."""

    budget: Budget
    cache: int
    counted: int


def memory_of(settings: Settings) -> Memory:
    """The memory of this process. Sets the limit of its compiled schemas."""
    total = memory_budget(settings.memory_budget)
    schemas, cache = total // SCHEMAS_PART, min(MOST_CACHED, total // CACHE_PART)
    counted = cache // COUNTED_PART
    keep_at_most(schemas)
    return Memory(Budget(total - schemas - CACHES * cache - COUNTED * counted), cache, counted)
