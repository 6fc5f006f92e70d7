"""Who may call: the settings of authentication. What closes the gateway is known at the start (`closed`)."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode

from asya_crds.setting_types import split_commas
from asya_gateway.settings.issuers import IssuerSettings
from asya_gateway.settings.oauth import OAuthSettings

SHORTEST_KEY = 16
"""Characters of a key that is not warned of."""


class Surface(StrEnum):
    """A group of routes that a closed gateway may leave open."""

    MCP = "mcp"
    A2A = "a2a"


def check_static_key(value: str) -> str:
    """A key that a header can carry; an empty one is none."""
    if value and not (value.isascii() and value.isprintable() and " " not in value and len(value) <= 8192):
        raise ValueError("expected at most 8192 visible ASCII characters without spaces")
    return value


StaticKey = Annotated[str, AfterValidator(check_static_key)]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], NoDecode]
Surfaces = Annotated[list[Surface], NoDecode]


class AuthSettings(OAuthSettings, IssuerSettings):
    """The part of the gateway's settings that tells callers apart."""

    auth: Literal["", "required"] = Field(
        "", description="`required` closes the gateway even if nothing else does: callers need a key of the table."
    )
    mcp_api_key: StaticKey = Field(
        "", repr=False, description="The one key of all MCP and REST callers, as `Authorization: Bearer`."
    )
    a2a_api_key: StaticKey = Field("", repr=False, description="The one key of all A2A callers, as `X-API-Key`.")
    api_keys_file: str = Field(
        "",
        description="File of keys that tell callers apart, besides those of the table (below, Authentication).",
    )
    open_surfaces: Surfaces = Field(
        default_factory=list,
        description="Groups of routes of a closed gateway, `mcp` or `a2a`, that answer callers without a credential, "
        "too.",
    )

    caller_claims: Names = Field(
        default_factory=list,
        description="Claims of a caller's token that envelopes carry to actors in the header x-asya-caller, "
        "besides the caller's id; comma separated.",
    )

    @field_validator("open_surfaces", "caller_claims", mode="before")
    @classmethod
    def _split_lists(cls, value: Any) -> Any:
        return split_commas(value)

    @property
    def closed(self) -> bool:
        """Whether callers need a credential. It depends on the settings alone, so that no source of keys that is
        emptied, revoked or unreadable opens the gateway."""
        doors = (
            self.auth,
            self.mcp_api_key,
            self.a2a_api_key,
            self.api_keys_file,
            self.a2a_jwt_jwks_url,
            self.gateway_config,
            self.mcp_oauth_enabled,
        )
        return any(doors)

    def without_effect(self) -> list[str]:
        """The variables that were set and change nothing, because what they belong to is off."""
        idle: list[str] = []
        if not self.mcp_oauth_enabled:
            idle += [name for name in OAuthSettings.model_fields if name != "mcp_oauth_enabled"]
        if not self.a2a_jwt_jwks_url:
            idle.append("a2a_jwt_alias")
        if not self.closed:
            idle += ["roles_file", "open_surfaces", "caller_claims"]
        fields = type(self).model_fields
        return [
            f"ASYA_{name.upper()}"
            for name in idle
            if getattr(self, name) != fields[name].get_default(call_default_factory=True)
        ]

    def short_keys(self) -> list[str]:
        """The variables whose keys can be guessed by trying."""
        names = ("mcp_api_key", "a2a_api_key")
        return [f"ASYA_{name.upper()}" for name in names if 0 < len(getattr(self, name)) < SHORTEST_KEY]
