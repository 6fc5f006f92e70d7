"""Whose tasks a statement may see and change."""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from asya_gateway.domain.identity.principals import Asker, OpenCaller, Principal, Program


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """Only the tasks of this owner. "" is the anonymous caller of an open gateway, an owner like any other."""

    owner: str


class EveryOwner(Enum):
    """The tasks of all owners, for the gateway's own work and for mesh (owner_of)."""

    EVERY_OWNER = "every owner"


EVERY_OWNER = EveryOwner.EVERY_OWNER
OwnerScope = OwnedBy | EveryOwner
"""A missing value never means EveryOwner, and no parameter has it as a default."""


def owner_of(asker: Asker) -> OwnerScope:
    """Whose tasks are this asker's own. What it may do with tasks of others, TaskReading.scope tells."""
    match asker:
        case OpenCaller(owner=owner) | Principal(owner=owner):
            return OwnedBy(owner)
        case Program():
            return EVERY_OWNER
        case _:
            assert_never(asker)
