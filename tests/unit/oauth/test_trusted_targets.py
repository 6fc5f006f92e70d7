"""To which targets a browser is sent although nobody has agreed to it."""

from typing import Any, cast

import pytest

from asya_gateway.domain.oauth.authorizing import Authorizing, Target
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.rules import OAuthRules
from tests.support.oauth import CALLBACK, ISSUER

NOTHING = cast(Any, None)
"""Nothing is stored or found here."""


def trusts(uri: str, kind: ClientKind = ClientKind.REGISTERED, *, login: bool = True, token: str = "") -> bool:
    rules = OAuthRules(ISSUER, registration_token=token)
    return Authorizing(NOTHING, NOTHING, rules, login=login).trusts(Target(Client("key", kind, "Client"), uri))


@pytest.mark.parametrize("kind", [ClientKind.REGISTERED, ClientKind.METADATA])
def test_a_page_of_a_client_that_nobody_vouches_for_is_not_trusted(kind: ClientKind) -> None:
    """RFC 9700, section 4.11.2."""
    assert not trusts(CALLBACK, kind)
    assert not trusts("https://127.0.0.1.evil.example/", kind)
    assert not trusts("https://localhost.evil.example/", kind)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:33418/", "http://localhost/cb", "http://[::1]:1/", "cursor://anysphere.cursor-mcp/cb"]
)
def test_programs_on_the_person_s_own_machine_are_trusted(uri: str) -> None:
    assert trusts(uri)


def test_clients_of_operators_and_those_with_the_registration_token_are_trusted() -> None:
    assert trusts(CALLBACK, ClientKind.OPERATOR)
    assert trusts(CALLBACK, token="registration-token")


def test_without_a_login_errors_go_where_codes_go() -> None:
    assert trusts(CALLBACK, login=False)
