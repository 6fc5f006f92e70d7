"""Whose tasks a statement reads or changes, as a condition and its argument."""

from typing import assert_never

from asya_gateway.domain.owners import EveryOwner, OwnedBy, OwnerScope


def owned(argument: int, column: str = "owner") -> str:
    """SQL: the row belongs to the owner in this argument, if one is named there."""
    return f"(${argument}::text IS NULL OR {column} = ${argument})"


def owner_parameter(owner: OwnerScope) -> str | None:
    """The argument for `owned`: the owner that the tasks must have; null for any owner."""
    match owner:
        case OwnedBy(owner=name):
            return name
        case EveryOwner.EVERY_OWNER:
            return None
        case _:
            assert_never(owner)
