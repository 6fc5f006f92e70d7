"""Whose tasks somebody may see and change."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """The tasks of this owner alone. "" is the anonymous caller of an open gateway, an owner like any other."""

    owner: str


class EveryOwner(Enum):
    """The tasks of all owners: what the gateway does by itself, and what mesh asks (task.owner_of)."""

    EVERY_OWNER = "every owner"


EVERY_OWNER = EveryOwner.EVERY_OWNER
OwnerScope = OwnedBy | EveryOwner
"""No value of it comes about because something is missing, and no parameter has it for a default."""
