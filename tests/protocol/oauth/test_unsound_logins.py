"""A login with a provider that lies, or that is away, and answers that belong to no login: nothing is granted."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from servers.databases import Databases
from tests.support.gateway import Gateway
from tests.support.login import Browser, gateway_with
from tests.support.oauth import CALLBACK, Pkce, query_of
from tests.support.official_client import LOOPBACK
from tests.support.provider import Provider, provider

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    databases: Databases, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Provider, Gateway, str]]:
    """One gateway for all tests here, and a client of it."""
    with databases.one(template_database) as url:
        async with (
            provider() as upstream,
            gateway_with(upstream, url, tmp_path_factory.mktemp("login")) as gateway,
        ):
            caller = Browser(gateway, gateway.session).caller
            yield upstream, gateway, await caller.client_id(redirect_uris=[CALLBACK, LOOPBACK])


@pytest.fixture
def upstream(running: tuple[Provider, Gateway, str]) -> Provider:
    """The provider, honest again."""
    running[0].be_honest()
    return running[0]


@pytest.fixture
def client_id(running: tuple[Provider, Gateway, str]) -> str:
    return running[2]


@pytest_asyncio.fixture(loop_scope="module")
async def browser(running: tuple[Provider, Gateway, str]) -> AsyncIterator[Browser]:
    gateway = running[1]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Browser(gateway, session)
    assert await gateway.running.storage.database.fetchval("SELECT count(*) FROM oauth_codes") == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"answer": {"iss": "https://other-issuer.example"}},
        {"answer": {"iss": ""}},
        {"answer": {"code": "made-up"}},
        {"answer": {"code": ""}},
        {"answer": {"code": "", "error": "access_denied"}},
        {"nonce": "of-another-login"},
        {"claims": {"sub": None}},
        {"claims": {"sub": "a\nb"}},
        {"claims": {"sub": "x" * 256}},
        {"claims": {"sub": "alice", "aud": "another-client"}},
        {"claims": {"sub": "alice", "iss": "https://other-issuer.example"}},
        {"claims": {"sub": "alice", "exp": 1_000_000_000}},
        {"claims": {"sub": "alice", "azp": "another-client"}},
        {"token_status": 400},
    ],
)
async def test_a_login_that_is_not_sound_is_told_to_the_client_and_grants_nothing(
    upstream: Provider, browser: Browser, client_id: str, lie: dict[str, Any]
) -> None:
    """OpenID Connect Core 1.0, section 3.1.3.7; RFC 9207, section 2.4 (mix-up)."""
    for name, value in lie.items():
        setattr(upstream, name, value)
    answer = await browser.to_consent(client_id, Pkce(), state="s", redirect_uri=LOOPBACK)
    assert answer.status == 303, answer.text
    told = query_of(answer.headers["Location"])
    assert (told["error"], told["state"]) == ("access_denied", "s")


@pytest.mark.parametrize("lie", [{"token_status": 503}, {"token_status": 429}])
async def test_a_provider_that_is_away_denies_nobody(
    upstream: Provider, browser: Browser, client_id: str, lie: dict[str, Any]
) -> None:
    for name, value in lie.items():
        setattr(upstream, name, value)
    answer = await browser.to_consent(client_id, Pkce())
    assert (answer.status, "Location" in answer.headers) == (503, False)


@pytest.mark.parametrize("query", ["", "state=x&code=y", "code=y", "state=" + "s" * 43, "error=x", "state=a&state=b"])
async def test_a_callback_that_belongs_to_no_login_is_a_page(browser: Browser, query: str) -> None:
    browser.cookie = "c" * 43
    answer = await browser.open(f"{browser.gateway.url}/oauth/callback?{query}")
    assert (answer.status, "Location" in answer.headers) == (400, False)
