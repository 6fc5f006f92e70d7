"""Fields that files about callers have in common."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from asya_gateway.domain.identity.scopes import MOST_SCOPES, expected_form, is_scope

_ROLE = re.compile(r"[^\s,]{1,128}")


def check_scope_token(value: str) -> str:
    """Raises ValueError."""
    if not is_scope(value):
        raise ValueError("expected a scope: visible ASCII characters without quotes and backslashes, at most 256")
    return value


def check_scope(value: str) -> str:
    """A scope of a caller. Raises ValueError, also for one that begins like a scope of the gateway and gives
    nothing."""
    check_scope_token(value)
    if form := expected_form(value):
        raise ValueError(f"{value} gives nothing; expected {form}")
    return value


def check_role(value: str) -> str:
    """Raises ValueError."""
    if not _ROLE.fullmatch(value):
        raise ValueError("expected the name of a role: at most 128 characters, without spaces and commas")
    return value


Role = Annotated[str, AfterValidator(check_role)]
Scopes = Annotated[list[Annotated[str, AfterValidator(check_scope)]], Field(max_length=MOST_SCOPES)]
"""Of callers of this gateway."""
IssuersScopes = Annotated[list[Annotated[str, AfterValidator(check_scope_token)]], Field(max_length=MOST_SCOPES)]
"""What is asked of an issuer, which has words of its own."""
Roles = Annotated[list[Role], Field(max_length=MOST_SCOPES)]
