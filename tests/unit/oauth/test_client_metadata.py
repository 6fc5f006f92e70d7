"""How clients describe themselves (RFC 7591, section 2)."""

from typing import Any

import pytest

from asya_gateway.domain.oauth.errors import InvalidClientMetadata, InvalidRedirectUri, OAuthError
from asya_gateway.domain.oauth.metadata import read_description

URIS = ["https://client.example/callback"]


def read(**members: Any) -> Any:
    return read_description({"redirect_uris": URIS, **members}, ("cursor",))


def test_only_redirect_uris_are_required() -> None:
    found = read()
    assert found.redirect_uris == tuple(URIS)
    assert found.name == ""
    assert found.auth_method == "none"
    assert found.grant_types == {"authorization_code", "refresh_token"}
    assert found.scopes is None


def test_a_client_names_more_grant_types_than_are_supported() -> None:
    """VS Code asks for the device grant as well."""
    found = read(
        grant_types=["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        response_types=["code", "token"],
    )
    assert found.grant_types == {"authorization_code", "refresh_token"}


def test_a_client_without_refresh_tokens_says_so() -> None:
    assert read(grant_types=["authorization_code"]).grant_types == {"authorization_code"}


def test_other_members_are_ignored() -> None:
    """RFC 7591, section 2: "The authorization server MUST ignore any client metadata sent by the client that it does
    not understand"."""
    assert read(logo_uri=7, contacts={"x": [[]]}, jwks=None, software_statement="x").redirect_uris == tuple(URIS)


@pytest.mark.parametrize(
    "uris", [None, [], "https://client.example/callback", {}, [None], [[]], [""], URIS * 17, ["http://client.example/"]]
)
def test_redirect_uris_are_a_list_of_uris(uris: Any) -> None:
    with pytest.raises(InvalidRedirectUri, match="redirect_uris"):
        read_description({"redirect_uris": uris}, ())


def test_all_redirect_uris_together_are_bounded_since_anybody_may_register() -> None:
    uris = [f"https://a.example/{number}/{'x' * 1900}" for number in range(5)]
    with pytest.raises(InvalidRedirectUri, match="at most 8192 characters together"):
        read_description({"redirect_uris": uris}, ())
    assert len(read_description({"redirect_uris": uris[:4]}, ()).redirect_uris) == 4


@pytest.mark.parametrize(
    "members",
    [
        {"client_name": 7},
        {"client_name": "x" * 129},
        {"client_name": "line\nbreak"},
        {"client_name": "\u202egnp.exe"},
        {"grant_types": "authorization_code"},
        {"grant_types": ["implicit"]},
        {"grant_types": [1]},
        {"grant_types": ["authorization_code"] * 33},
        {"response_types": ["token"]},
        {"response_types": {}},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": []},
        {"scope": ["mcp:read"]},
        {"scope": 'mcp:"read'},
    ],
)
def test_a_mistake_is_named(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidClientMetadata, match=next(iter(members))):
        read(**members)


@pytest.mark.parametrize("members", [{"client_name": "\ud800"}, {"redirect_uris": ["\ud800"]}])
def test_lone_surrogates_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(OAuthError):
        read(**members)
