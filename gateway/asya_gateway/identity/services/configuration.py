"""ASYA_GATEWAY_CONFIG: the identity services, with the keys of Solace Agent Mesh.

    identity_service:
      type: oauth2
      issuer: https://auth.example.com
      audience: agent-mesh-api

or a list of several:

    identity_service:
      - {type: oauth2, issuer: "https://auth.example.com", audience: agent-mesh-api}
      - {type: local_file, file_path: /config/users.json}
      - {type: custom, module: my_company.identity.CustomIdentityService, config: {api_endpoint: "https://…"}}
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from asya_crds.mistakes import FieldMistake
from asya_gateway.identity.fields import IssuersScopes
from asya_gateway.mounted.documents import read_document
from asya_gateway.mounted.reading import NothingMounted, read_file, read_settled
from asya_gateway.mounted.watching import MOST_BYTES, InvalidFile
from asya_gateway.outbound.errors import TargetRefused
from asya_gateway.outbound.permitting import checked_url
from asya_gateway.settings.issuers import check_alias

MOST_SERVICES = 8
_MODULE = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?")


def alias_of(url: str) -> str:
    """The alias of an issuer that has no other: host and path, with every other character written as `-`."""
    return re.sub(r"[^a-z0-9]+", "-", url.partition("://")[2].lower()).strip("-")[:100]


def check_url(value: str) -> str:
    """A URL to fetch from, as it is written: an issuer's URL is compared byte for byte. Raises ValueError."""
    try:
        checked_url(value)
    except TargetRefused as error:
        raise ValueError(error.reason) from None
    return value


def _check_module(value: str) -> str:
    if not _MODULE.fullmatch(value):
        raise ValueError("expected package.module.Class, package.module:Class, or a name of the group asya.identity")
    return value


Url = Annotated[str, AfterValidator(check_url)]
Text = Annotated[str, Field(min_length=1, max_length=2048)]


class OAuth2Service(BaseModel):
    """An issuer whose tokens are accepted, and with `login` the one where persons log in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["oauth2"]
    issuer: Url
    audience: Annotated[
        list[Text],
        Field(min_length=1, max_length=32),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ]
    jwks_uri: Url | None = None
    """None: what the issuer's own metadata says."""
    alias: Annotated[str, AfterValidator(check_alias)] = ""
    login: bool = False
    client_id: Text | None = None
    client_secret_file: Text | None = None
    scopes: IssuersScopes = Field(default_factory=lambda: ["openid"])

    @model_validator(mode="after")
    def _complete(self) -> "OAuth2Service":
        if self.login and self.client_id is None:
            raise ValueError("login needs a client_id")
        self.alias = self.alias or alias_of(self.issuer)
        return self


class LocalFileService(BaseModel):
    """A file of persons."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["local_file"]
    file_path: Text


class CustomService(BaseModel):
    """A class of the operator's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["custom"]
    module: Annotated[str, AfterValidator(_check_module)]
    config: dict[str, Any] = Field(default_factory=dict)


Service = Annotated[OAuth2Service | LocalFileService | CustomService, Field(discriminator="type")]


class GatewayConfig(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    identity_service: Annotated[
        list[Service],
        Field(min_length=1, max_length=MOST_SERVICES),
        BeforeValidator(lambda value: [value] if isinstance(value, dict) else value),
    ]

    @property
    def issuers(self) -> list[OAuth2Service]:
        """The services that are issuers."""
        return [each for each in self.identity_service if isinstance(each, OAuth2Service)]

    def mistakes(self) -> Iterator[FieldMistake]:
        """Issuers that cannot be told apart, and more than one place to log in."""
        seen: set[tuple[str, str]] = set()
        logins = 0
        for index, each in enumerate(self.identity_service):
            if not isinstance(each, OAuth2Service):
                continue
            for name, value in (("issuer", each.issuer), ("alias", each.alias)):
                if (name, value) in seen:
                    yield FieldMistake(("identity_service", index, name), f"another service has {value!r} already")
                seen.add((name, value))
            logins += each.login
            if each.login and logins > 1:
                yield FieldMistake(("identity_service", index, "login"), "another service has a login already")


def read_config(path: str) -> GatewayConfig:
    """The file as it is at the start. Raises InvalidFile with every mistake and its line."""
    try:
        text = read_settled(Path(path), lambda file: read_file(file, MOST_BYTES), lambda _: False)
        return read_document(text, GatewayConfig, lambda config: config.mistakes())
    except (NothingMounted, InvalidFile) as error:
        reason = str(error)
        raise InvalidFile(reason if reason.startswith(path) else f"{path}: {reason}") from None
