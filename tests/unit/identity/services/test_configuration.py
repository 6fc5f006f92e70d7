"""ASYA_GATEWAY_CONFIG: which identity services there are, and how mistakes are told."""

from pathlib import Path

import pytest

from asya_gateway.identity.services.configuration import (
    CustomService,
    GatewayConfig,
    LocalFileService,
    OAuth2Service,
    alias_of,
    read_config,
)
from asya_gateway.mounted.watching import InvalidFile


def read(folder: Path, text: str) -> GatewayConfig:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return read_config(str(path))


def test_the_services_of_the_seed_are_read(tmp_path: Path) -> None:
    text = """
identity_service:
  - type: oauth2
    issuer: https://auth.example.com
    audience: agent-mesh-api
    jwks_uri: https://auth.example.com/.well-known/jwks.json
  - type: local_file
    file_path: /config/users.json
  - type: custom
    module: my_company.identity.CustomIdentityService
    config:
      api_endpoint: https://identity.example.com
"""
    oauth2, local, custom = read(tmp_path, text).identity_service
    assert isinstance(oauth2, OAuth2Service)
    assert (oauth2.issuer, oauth2.audience, oauth2.alias) == (
        "https://auth.example.com", ["agent-mesh-api"], "auth-example-com",
    )  # fmt: skip
    assert oauth2.jwks_uri == "https://auth.example.com/.well-known/jwks.json"
    assert isinstance(local, LocalFileService)
    assert local.file_path == "/config/users.json"
    assert isinstance(custom, CustomService)
    assert custom.config == {"api_endpoint": "https://identity.example.com"}


def test_one_service_needs_no_list_and_a_login_says_what_it_needs(tmp_path: Path) -> None:
    text = """
identity_service: {type: oauth2, issuer: "https://a.example/", audience: [x, y], alias: corp, login: true,
  client_id: asya, client_secret_file: /secrets/client, scopes: [openid, email]}
"""
    config = read(tmp_path, text)
    (service,) = config.issuers
    assert (service.alias, service.audience, service.login, service.client_id) == ("corp", ["x", "y"], True, "asya")
    assert (service.issuer, service.scopes) == ("https://a.example/", ["openid", "email"])


@pytest.mark.parametrize(
    ("url", "alias"),
    [
        ("https://auth.example.com", "auth-example-com"),
        ("https://acme.eu.auth0.com/", "acme-eu-auth0-com"),
        ("https://kc.example.com/realms/Staff", "kc-example-com-realms-staff"),
        ("http://127.0.0.1:8080", "127-0-0-1-8080"),
    ],
)
def test_an_issuer_has_an_alias_that_its_url_gives(url: str, alias: str) -> None:
    assert alias_of(url) == alias


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "identity_service: required field is missing"),
        ("identity_service: []", "line 1: identity_service"),
        ("identity_service: {type: local_file, file_path: a}\nserver: {port: 8080}", "line 2: server: unknown field"),
        ("identity_service: oauth2", "line 1: identity_service: expected a list"),
        ("identity_service:\n  issuer: https://a", "line 1: identity_service: 'type' is missing"),
        (
            "identity_service:\n- type: saml",
            "line 2: identity_service.0: expected 'type' to be one of 'oauth2', 'local_file'",
        ),
        ("identity_service:\n  type: oauth2\n  issuer: https://a", "audience: required field is missing"),
        (
            "identity_service:\n  type: oauth2\n  audience: x\n  issuer: auth.example.com",
            "line 4: identity_service.issuer: expected an absolute https URL",
        ),
        (
            "identity_service:\n  type: oauth2\n  audience: x\n  issuer: https://a\n  jwks_url: x",
            "line 5: identity_service.jwks_url: unknown field (did you mean jwks_uri?)",
        ),
        (
            "identity_service:\n  type: oauth2\n  audience: x\n  issuer: https://a\n  login: true",
            "login needs a client_id",
        ),
        (
            "identity_service:\n  type: oauth2\n  audience: x\n  issuer: https://a\n  alias: 'a:b'",
            "line 5: identity_service.alias: ",
        ),
        ("identity_service:\n- type: local_file", "line 2: identity_service.0.file_path: required field is missing"),
        ("identity_service:\n- type: custom\n  module: 'a b'", "line 3: identity_service.0.module: expected package"),
        (
            "identity_service:\n- type: custom\n  module: a.B\n  config: 7",
            "line 4: identity_service.0.config: expected an object",
        ),
        ("identity_service: ]", "line 1: not YAML"),
        (
            "identity_service:\n- {type: oauth2, audience: x, issuer: 'https://a'}\n"
            "- {type: oauth2, audience: y, issuer: 'https://a', alias: b}",
            "line 3: identity_service.1.issuer: another service has 'https://a' already",
        ),
        (
            "identity_service:\n- {type: oauth2, audience: x, issuer: 'https://a'}\n"
            "- {type: oauth2, audience: y, issuer: 'https://A/'}",
            "identity_service.1.alias: another service has 'a' already",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, mistake: str) -> None:
    with pytest.raises(InvalidFile) as told:
        read(tmp_path, text)
    assert mistake in str(told.value)
    assert "gateway.yaml" in str(told.value)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="no such file"):
        read_config(str(tmp_path / "none.yaml"))
