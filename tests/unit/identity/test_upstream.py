"""The provider's metadata, without a provider: what is not sound sends nobody anywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from asya_crds import jsontext
from asya_gateway.domain.clock import own_time
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.oauth.logins import LoginSecrets
from asya_gateway.identity.jwt.key_set import KeySet
from asya_gateway.identity.upstream import METADATA_KEPT, Provider, Upstream
from asya_gateway.outbound.client import ExchangeLimits, OutboundResponse
from asya_gateway.outbound.errors import NoAnswer
from asya_gateway.outbound.permitting import Origin
from tests.support.oauth import query_of

ISSUER = "https://issuer.example/realms/staff"
SECRETS = LoginSecrets("c" * 43, "s" * 43)


class NoKeys:
    async def current(self) -> KeySet:
        raise Unavailable("no keys")

    async def newest(self) -> KeySet:
        raise Unavailable("no keys")


class FakeProvider:
    """Answers with one document, or with an error."""

    def __init__(self, **metadata: Any) -> None:
        found = {"issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
        self.body = jsontext.dumps({**found, **metadata}).encode()
        self.status = 200
        self.away = False
        self.posted: list[tuple[bytes, Mapping[str, str]]] = []
        self.fetched: list[str] = []
        self.now = 0.0

    async def get(self, url: str, *, permission: Origin | None, limits: ExchangeLimits) -> OutboundResponse:
        self.fetched.append(url)
        if self.away:
            raise NoAnswer("it could not be reached")
        return OutboundResponse(self.status, self.body, CIMultiDictProxy(CIMultiDict()))

    async def post(
        self, url: str, body: bytes, *, permission: Origin | None, limits: ExchangeLimits, headers: Mapping[str, str]
    ) -> OutboundResponse:
        self.posted.append((body, headers))
        raise NoAnswer("it could not be reached")

    def upstream(self, secret_file: Path | None = None, issuer: str = ISSUER) -> Upstream:
        provider = Provider("corp", issuer, "me&you", ("openid", "email"), Origin.of(URL(issuer)), secret_file)
        callback = "https://gateway.example/oauth/callback"
        return Upstream(provider, NoKeys(), self, callback, clock=own_time, monotonic=lambda: self.now)


async def test_a_person_is_sent_to_the_endpoint_of_the_metadata() -> None:
    """OpenID Connect Discovery 1.0, section 4.1: the path of the issuer comes first."""
    fake = FakeProvider(authorization_endpoint="https://login.example/auth?tenant=1")
    url = await fake.upstream().authorization_url(SECRETS)
    assert fake.fetched == [f"{ISSUER}/.well-known/openid-configuration"]
    assert url.startswith("https://login.example/auth?tenant=1&")
    sent = query_of(url)
    assert (sent["client_id"], sent["scope"], sent["state"]) == ("me&you", "openid email", SECRETS.state)
    assert len({sent["nonce"], sent["state"], sent["code_challenge"], SECRETS.verifier, SECRETS.consent}) == 5


async def test_metadata_is_kept_for_ten_minutes() -> None:
    fake = FakeProvider()
    upstream = fake.upstream()
    for now, fetches in ((0.0, 1), (METADATA_KEPT - 1, 1), (METADATA_KEPT, 2)):
        fake.now = now
        await upstream.authorization_url(SECRETS)
        assert len(fake.fetched) == fetches


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other-issuer.example"},
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": ["https://issuer.example"]},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://issuer.example/auth"},
        {"authorization_endpoint": "https:///auth"},
        {"authorization_endpoint": "https://[::1/auth"},
        {"authorization_endpoint": "https://issuer.example/auth\r\nSet-Cookie: a=b"},
        {"authorization_endpoint": "https://issuer.example/auth#x"},
        {"token_endpoint": None},
        {"token_endpoint": 7},
    ],
)
async def test_metadata_that_is_not_sound_sends_nobody_anywhere(metadata: dict[str, Any]) -> None:
    """OpenID Connect Discovery 1.0, section 4.3: the issuer "MUST be identical"."""
    with pytest.raises(Unavailable):
        await FakeProvider(**metadata).upstream().authorization_url(SECRETS)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"[" * 5000])
async def test_a_document_that_is_none_is_refused(body: bytes) -> None:
    fake = FakeProvider()
    fake.body = body
    with pytest.raises(Unavailable):
        await fake.upstream().authorization_url(SECRETS)


async def test_a_provider_that_is_away_is_asked_again_at_the_next_login() -> None:
    fake = FakeProvider()
    upstream = fake.upstream()
    fake.away = True
    with pytest.raises(Unavailable):
        await upstream.authorization_url(SECRETS)
    fake.away, fake.status = False, 500
    with pytest.raises(Unavailable):
        await upstream.authorization_url(SECRETS)
    fake.status = 200
    await upstream.authorization_url(SECRETS)


async def test_an_endpoint_at_the_operators_own_http_issuer_is_followed() -> None:
    issuer = "http://keycloak.auth:8080"
    fake = FakeProvider(issuer=issuer, authorization_endpoint=f"{issuer}/auth", token_endpoint=f"{issuer}/token")
    assert (await fake.upstream(issuer=issuer).authorization_url(SECRETS)).startswith(f"{issuer}/auth?")


@pytest.mark.parametrize(
    ("methods", "in_header"), [(None, True), (["client_secret_post"], False), (["client_secret_basic"], True)]
)
async def test_the_secret_is_presented_as_the_provider_wants_it(
    tmp_path: Path, methods: list[str] | None, in_header: bool
) -> None:
    """RFC 6749, section 2.3.1. The file is read at each login, since secrets are exchanged."""
    file = tmp_path / "secret"
    file.write_text("a secret+\n")
    fake = FakeProvider(token_endpoint_auth_methods_supported=methods)
    upstream = fake.upstream(file)
    with pytest.raises(Unavailable):
        await upstream.person("code", None, SECRETS)
    [(body, headers)] = fake.posted
    assert ("Authorization" in headers) is in_header
    assert (b"client_secret=a+secret%2B" in body) is not in_header
    file.unlink()
    with pytest.raises(Unavailable):
        await upstream.person("code", None, SECRETS)
    assert len(fake.posted) == 1
