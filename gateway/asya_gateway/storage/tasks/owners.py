"""Whose tasks a statement may touch, as its parameter."""

from typing import assert_never

from asya_gateway.domain.owners import EveryOwner, OwnedBy, OwnerScope


def owner_parameter(owner: OwnerScope) -> str | None:
    """The owner whose tasks they must be; null in a statement where any will do."""
    match owner:
        case OwnedBy(owner=name):
            return name
        case EveryOwner.EVERY_OWNER:
            return None
        case _:
            assert_never(owner)
