"""The keys of the gateway's own variables: ASYA_MCP_API_KEY and ASYA_A2A_API_KEY."""

import hashlib
import hmac

from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of

SHARED = "shared"
"""The name of a key that both variables hold."""


class StaticKeys:
    """One principal for each key: whoever has it sees the same tasks. Implements BearerVerifier."""

    def __init__(self, *, mcp: str = "", a2a: str = "") -> None:
        names = {SHARED: mcp} if mcp == a2a else {"mcp": mcp, "a2a": a2a}
        self._keys = [
            (hashlib.sha256(key.encode()).digest(), Principal(f"key:{name}", rights_of(COMMON_SCOPES), Via.KEY))
            for name, key in names.items()
            if key
        ]

    def claims(self, token: str) -> bool:
        """Whether the token is one of the keys."""
        return self._found(token) is not None

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated."""
        found = self._found(token)
        if found is None:
            raise Unauthenticated("unknown key")
        return found

    def _found(self, token: str) -> Principal | None:
        digest = hashlib.sha256(token.encode()).digest()
        found = None
        for known, principal in self._keys:
            # Every key is compared, in constant time, so that the time tells nothing about any of them.
            if hmac.compare_digest(known, digest):
                found = principal
        return found
