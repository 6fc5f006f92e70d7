"""Refusals that say who the caller is not, or what it may not do. Each protocol's table has a row for each."""

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from asya_gateway.domain.errors import GatewayError


class Unauthenticated(GatewayError):
    """No credential, or one that is not good. The message says what is wrong with it in general words, never its
    content, nor whether it once was good."""

    code = "unauthenticated"

    def __init__(self, message: str = "Authentication required", *, presented: bool = True) -> None:
        super().__init__(message)
        self.presented = presented
        """Whether there was a credential: RFC 6750, section 3.1, tells nothing to a request without one."""
        self.auth_url = ""
        """Where a caller gets a credential, if whoever refuses it knows."""

    @property
    @override
    def data(self) -> Mapping[str, Any]:
        return {"auth_url": self.auth_url} if self.auth_url else {}


class AmbiguousCredentials(GatewayError):
    """A header with a credential occurs more than once, or has no form that its scheme allows."""

    code = "ambiguous_credentials"


class Denied(GatewayError):
    """The caller is known and sees what it asks for, but lacks scopes. `required` are all scopes needed, sorted."""

    code = "insufficient_scope"

    def __init__(self, what: str, required: Iterable[str], held: Iterable[str]) -> None:
        self.required = tuple(sorted(required))
        self.held = tuple(sorted(held))
        super().__init__(f"Access denied to {what}: expected the scopes {' '.join(self.required)}")

    @property
    @override
    def data(self) -> Mapping[str, Any]:
        return {"required_scopes": list(self.required), "user_scopes": list(self.held)}


class TooManyRequests(GatewayError):
    """The caller's or the flow's rate is exceeded. Nothing was done."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
