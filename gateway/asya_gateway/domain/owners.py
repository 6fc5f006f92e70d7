"""Whose tasks a caller may see and change."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """Only the tasks of this owner. "" is the anonymous caller of an open gateway, an owner like any other."""

    owner: str


class EveryOwner(Enum):
    """The tasks of all owners, for the gateway's own work and for mesh (task.owner_of)."""

    EVERY_OWNER = "every owner"


EVERY_OWNER = EveryOwner.EVERY_OWNER
OwnerScope = OwnedBy | EveryOwner
"""A missing value never means EveryOwner, and no parameter has it as a default."""
