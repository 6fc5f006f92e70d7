"""WWW-Authenticate: what a client must present, and where it gets it (RFC 6750, section 3; RFC 9728, section 5.1)."""

from dataclasses import dataclass, replace
from typing import Self

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.identity.faults import Denied, Unauthenticated
from asya_gateway.domain.identity.scopes import INVOKE_SCOPE, READ_SCOPE
from asya_gateway.protocols.http.policies import Group

HEADER = "WWW-Authenticate"
REALM = "asya-gateway"
ASKED = f"{READ_SCOPE} {INVOKE_SCOPE}"
"""Scopes that an ordinary client should ask for, so that it never has to ask for more."""
A2A_PATH = "/a2a"
MCP_PATH = "/mcp"


@dataclass(frozen=True, slots=True)
class Challenges:
    """Makes the header. `metadata_base` is the origin of the protected resource's metadata (RFC 9728), "" if there is
    no authorization server to name. `auth_url` is where a caller begins to get a credential."""

    metadata_base: str = ""
    auth_url: str = ""
    mcp_path: str = MCP_PATH

    def at(self, path: str) -> Self:
        """For a tool set, which is a resource of its own: its metadata names it, as RFC 9728, section 3.3, requires."""
        return replace(self, mcp_path=path) if path.startswith(f"{MCP_PATH}/") else self

    def headers(self, error: GatewayError, group: Group = Group.MCP) -> dict[str, str]:
        """The header for a refusal; empty for an error that no credential would change."""
        match error:
            case Unauthenticated():
                parts = self._server(group, ASKED)
                if error.presented:
                    parts += [("error", "invalid_token"), ("error_description", _quotable(error.message))]
            case Denied():
                parts = [("error", "insufficient_scope"), *self._server(group, " ".join(error.required), always=True)]
            case _:
                return {}
        listed = "".join(f', {name}="{value}"' for name, value in parts)
        return {HEADER: f'Bearer realm="{REALM}"{listed}'}

    def _server(self, group: Group, scope: str, *, always: bool = False) -> list[tuple[str, str]]:
        if not self.metadata_base:
            return [("scope", scope)] if always else []
        path = A2A_PATH if group is Group.A2A else self.mcp_path
        url = f"{self.metadata_base}/.well-known/oauth-protected-resource{path}"
        return [("resource_metadata", url), ("scope", scope)]


def _quotable(text: str) -> str:
    """Text without what a quoted error_description must not have (RFC 6750, section 3)."""
    return "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
