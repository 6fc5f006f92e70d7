"""The gateway's own authorization server."""

import ipaddress
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from asya_crds.durations import Duration
from asya_crds.setting_types import Switch, check_web_url, is_host, split_commas

LEAST_SECRET = 32
"""Bytes of a key for HMAC-SHA256 (RFC 7518, section 3.2)."""
LONGEST_TOKEN = 1024
DAY = 86_400.0
NEVER = frozenset({"javascript", "data", "file", "blob", "vbscript", "about", "http", "https"})
"""No schemes of applications: they run or show content, or have rules of their own."""


def check_issuer(value: str) -> str:
    """An origin by https, or by http on a loopback address; without the last slash, which clients compare too."""
    if not value:
        return value
    issuer = check_web_url(value)
    parts = urlsplit(issuer)
    if parts.path or parts.query or "#" in issuer or "?" in issuer:
        raise ValueError("expected an origin, https://host, without a path")
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("expected https; http only on a loopback address")
    return issuer


def check_hmac_secret(value: str) -> str:
    """A secret of at least 32 bytes; an empty one is none."""
    if value and len(value.encode("utf-8", "surrogatepass")) < LEAST_SECRET:
        raise ValueError(f"expected at least {LEAST_SECRET} bytes")
    return value


def check_redirect_scheme(value: str) -> str:
    """A private-use scheme of an application (RFC 8252, section 7.1)."""
    if not value or value in NEVER or not value[0].isalpha() or not _is_scheme(value):
        raise ValueError("expected schemes of applications in lower case, such as cursor or com.example.app")
    return value


def check_host_name(value: str) -> str:
    """A host name in lower case, without a port."""
    if not is_host(value) or value != value.lower():
        raise ValueError("expected host names in lower case, such as client.example.com")
    return value


def check_registration_token(value: str) -> str:
    """A token that a header can carry; an empty one is none."""
    if value and not (value.isascii() and value.isprintable() and " " not in value and len(value) <= LONGEST_TOKEN):
        raise ValueError(f"expected at most {LONGEST_TOKEN} visible ASCII characters without spaces")
    return value


Issuer = Annotated[str, AfterValidator(check_issuer)]
HmacSecret = Annotated[str, AfterValidator(check_hmac_secret)]
RegistrationToken = Annotated[str, AfterValidator(check_registration_token)]
Schemes = Annotated[list[Annotated[str, AfterValidator(check_redirect_scheme)]], NoDecode]
HostNames = Annotated[list[Annotated[str, AfterValidator(check_host_name)]], NoDecode]


class OAuthSettings(BaseSettings):
    """The part of the gateway's settings that is about its authorization server."""

    mcp_oauth_enabled: Switch = Field(
        False, description="Be an OAuth 2.1 authorization server; callers then need its tokens, or another credential."
    )
    mcp_oauth_issuer: Issuer = Field(
        "",
        description="Origin at which clients reach the gateway, https://host; the issuer of its tokens. Required with "
        "OAuth.",
    )
    mcp_oauth_secret: HmacSecret = Field(
        "", repr=False, description="Secret that signs access tokens, at least 32 bytes. Required with OAuth."
    )
    mcp_oauth_secret_previous: HmacSecret = Field(
        "", repr=False, description="The secret before, which still verifies tokens while secrets are exchanged."
    )
    mcp_oauth_token_ttl: Duration = Field(3600.0, ge=60, le=DAY, description="How long an access token is valid.")
    mcp_oauth_refresh_idle: Duration = Field(
        30 * DAY, ge=60, description="How long a refresh token may stay unused; then its grant ends."
    )
    mcp_oauth_refresh_age: Duration = Field(
        180 * DAY, ge=60, description="How long a grant lives in all; then the client asks for a new authorization."
    )
    mcp_oauth_registration_token: RegistrationToken = Field(
        "",
        repr=False,
        description="Bearer token that a client needs to register itself; if empty, every client may register.",
    )
    mcp_oauth_redirect_schemes: Schemes = Field(
        default_factory=lambda: ["cursor", "vscode", "vscode-insiders", "windsurf", "claude"],
        description="Private-use schemes of redirect URIs besides https and loopback http, comma separated.",
    )
    mcp_oauth_client_hosts: HostNames = Field(
        default_factory=list,
        description="Hosts whose client id metadata documents are accepted although registration needs a token, comma "
        "separated.",
    )
    mcp_oauth_rate: int = Field(
        60,
        ge=0,
        description="Requests a minute of one source to each endpoint of the authorization server; 0 means no limit.",
    )

    @field_validator("mcp_oauth_redirect_schemes", "mcp_oauth_client_hosts", mode="before")
    @classmethod
    def _split_oauth_lists(cls, value: Any) -> Any:
        return split_commas(value)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.mcp_oauth_enabled:
            needed = {"ASYA_MCP_OAUTH_ISSUER": self.mcp_oauth_issuer, "ASYA_MCP_OAUTH_SECRET": self.mcp_oauth_secret}
            missing = [name for name, value in needed.items() if not value]
            if missing:
                raise ValueError(f"{', '.join(missing)}: required with ASYA_MCP_OAUTH_ENABLED")
            if getattr(self, "mcp_api_key", ""):
                raise ValueError(
                    "ASYA_MCP_API_KEY, ASYA_MCP_OAUTH_ENABLED: expected one of the two; keys that tell callers apart "
                    "(`asya auth key create`) may stand beside OAuth"
                )
        return self


def _is_scheme(text: str) -> bool:
    return text.isascii() and text == text.lower() and all(each.isalnum() or each in "+.-" for each in text)


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
