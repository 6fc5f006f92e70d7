"""The owner as a parameter of a statement."""

from typing import assert_never

from asya_gateway.domain.owners import EveryOwner, OwnedBy, OwnerScope


def owner_parameter(owner: OwnerScope) -> str | None:
    """The owner that the tasks must have; null for any owner."""
    match owner:
        case OwnedBy(owner=name):
            return name
        case EveryOwner.EVERY_OWNER:
            return None
        case _:
            assert_never(owner)
