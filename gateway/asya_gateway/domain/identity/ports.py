"""What identity asks of the edges."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from typing_extensions import override

from asya_gateway.domain.identity.principals import Principal


class Credentials(NamedTuple):
    """What a request presents; None for what it does not. Never logged."""

    bearer: str | None = None
    """The token of `Authorization: Bearer`."""
    api_key: str | None = None
    """The value of `X-API-Key`."""

    @override
    def __repr__(self) -> str:
        return f"Credentials(bearer={self.bearer and '…'}, api_key={self.api_key and '…'})"


class Authenticator(Protocol):
    """Judges credentials."""

    def recall(self, presented: str) -> Principal | None:
        """The principal of a credential that was found good a moment ago, presented as `Bearer <token>` or `X-API-Key
        <key>`; None if it must be judged."""

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever good credentials must be judged again, because keys, roles, users or clients have
        changed; the returned function ends that."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """The principal of these credentials, of which there is at least one. Raises Unauthenticated, and Unavailable
        if they cannot be judged now."""


class BearerVerifier(Protocol):
    """One kind of token or key."""

    def claims(self, token: str) -> bool:
        """Whether the token has this kind's form. It is then judged by nobody else."""

    async def verify(self, token: str) -> Principal:
        """The token's principal. Raises Unauthenticated, Unavailable."""
