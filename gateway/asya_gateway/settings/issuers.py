"""Which issuers' tokens are accepted, and what else is known of callers."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from asya_crds.setting_types import check_web_url

LONGEST_URL = 2048
ALIAS = re.compile(r"[a-z0-9-]{1,100}")


def check_exact_url(value: str) -> str:
    """An issuer's URL, kept as it is written: it is compared byte for byte, a slash at its end included."""
    check_web_url(value)
    return value


def check_fetched_url(value: str) -> str:
    """The URL of a document; it may have a query."""
    address, _, query = value.partition("?")
    check_web_url(address)
    if len(value) > LONGEST_URL:
        raise ValueError(f"expected at most {LONGEST_URL} characters")
    if value and (not address or not query.isascii() or not query.isprintable() or " " in query or "#" in query):
        raise ValueError("expected http://host[:port]/path or https://host[:port]/path, without user and fragment")
    return value


def check_alias(value: str) -> str:
    """The name of an issuer in ids of principals."""
    if value and not ALIAS.fullmatch(value):
        raise ValueError("expected lower-case letters, digits and '-', at most 100")
    return value


class IssuerSettings(BaseSettings):
    """The part of the gateway's settings that is about tokens of other issuers, identity services and roles."""

    a2a_jwt_jwks_url: Annotated[str, AfterValidator(check_fetched_url)] = Field(
        "", description="URL of an issuer's keys (JWKS); callers with its tokens may use every route for callers."
    )
    a2a_jwt_issuer: Annotated[str, AfterValidator(check_exact_url)] = Field(
        "", description="`iss` of these tokens. Required with `ASYA_A2A_JWT_JWKS_URL`."
    )
    a2a_jwt_audience: Annotated[str, Field(max_length=2048)] = Field(
        "", description="`aud` of these tokens. Required with `ASYA_A2A_JWT_JWKS_URL`."
    )
    a2a_jwt_alias: Annotated[str, AfterValidator(check_alias)] = Field(
        "", description="The issuer in the ids of its callers, `jwt:<alias>:<sub>`; empty means its host and path."
    )
    gateway_config: str = Field(
        "",
        description="YAML file with `identity_service` (docs/identity.md), read at the start. It closes the gateway.",
    )
    roles_file: str = Field("", description="YAML file of roles (docs/identity.md), read again when it changes.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        parts = {
            "ASYA_A2A_JWT_JWKS_URL": self.a2a_jwt_jwks_url,
            "ASYA_A2A_JWT_ISSUER": self.a2a_jwt_issuer,
            "ASYA_A2A_JWT_AUDIENCE": self.a2a_jwt_audience,
        }
        missing = [name for name, value in parts.items() if not value]
        if missing and len(missing) < len(parts):
            given = next(name for name, value in parts.items() if value)
            raise ValueError(f"{', '.join(missing)}: required with {given}")
        return self
