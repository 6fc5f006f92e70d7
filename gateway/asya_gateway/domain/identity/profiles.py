"""What an identity service knows of a person, beside what the token says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Profile:
    """Scopes and roles are added to the caller's own; `facts` (a name, a department) to its claims, which they never
    replace."""

    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class Profiles(Protocol):
    """An identity service."""

    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        """What is known of the person with these verified claims, of which `sub` is always one; None for a person who
        is not known. Raises Unavailable."""
