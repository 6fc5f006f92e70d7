"""Authorization with a person: the provider, the way back, and the page of consent."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from asya_cli.auth import clients
from asya_gateway.protocols.oauth.login import COOKIE
from tests.support.gateway import Gateway
from tests.support.login import Browser, gateway_with
from tests.support.oauth import CALLBACK, Pkce, asked, query_of
from tests.support.official_client import LOOPBACK
from tests.support.provider import CLIENT_ID, Provider, provider
from tests.support.waiting import until


@pytest.fixture
async def upstream() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


@pytest.fixture
async def gateway(upstream: Provider, database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway_with(upstream, database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def browser(gateway: Gateway) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Browser(gateway, session)


async def counted(gateway: Gateway, table: str) -> int:
    return int(await gateway.running.storage.database.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_person_logs_in_and_allows_a_client(gateway: Gateway, upstream: Provider, browser: Browser) -> None:
    client_id, pkce = await browser.caller.client_id(client_name="Editor <b>"), Pkce()
    page = await browser.to_consent(client_id, pkce, state="s")
    sent = upstream.requests[0]
    assert (sent["response_type"], sent["client_id"], sent["scope"]) == ("code", CLIENT_ID, "openid email")
    assert (sent["redirect_uri"], sent["code_challenge_method"]) == (f"{gateway.url}/oauth/callback", "S256")
    assert page.status == 200, page.text
    assert "Editor &lt;b&gt;" in page.text
    assert "<strong>client.example</strong>" in page.text, "MCP: the page has to name the redirect's host"
    assert "alice@corp.example" in page.text
    assert "mcp:invoke" in page.text
    done = await browser.answer(page)
    assert done.status == 303
    assert done.headers["Location"].startswith(f"{CALLBACK}?")
    answer = query_of(done.headers["Location"])
    assert (answer["state"], answer["iss"]) == ("s", gateway.url)
    issued = (await browser.caller.redeem(client_id, answer["code"], pkce)).json
    assert issued["scope"] == "mcp:invoke mcp:read"
    await gateway.post(
        "/tools/call", {"name": "anything"}, headers={"Authorization": f"Bearer {issued['access_token']}"}
    )
    owner = await gateway.running.storage.database.fetchval("SELECT owner FROM tasks")
    assert owner == "user:corp:alice"
    assert await counted(gateway, "oauth_logins") == 0


async def test_the_only_cookie_is_bound_to_this_host(gateway: Gateway, browser: Browser) -> None:
    """RFC 6265bis, section 4.1.3.2; the page is in no frame of others (RFC 9700, section 4.16)."""
    page = await browser.to_consent(await browser.caller.client_id(), Pkce())
    assert browser.set_cookie.startswith("__Host-asya-login=")
    attributes = {each.strip().lower() for each in browser.set_cookie.split(";")[1:]}
    assert attributes == {"max-age=600", "path=/", "secure", "httponly", "samesite=lax"}
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://client.example" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    assert await counted(gateway, "oauth_codes") == 0, "nothing is granted before the answer"


async def test_scopes_come_from_roles_and_are_computed_again(
    upstream: Provider, database_url: str, tmp_path: Path
) -> None:
    roles: dict[str, Any] = {
        "roles": {"reader": {"scopes": ["mcp:read"]}, "finance": {"scopes": ["finance", "flow:*:invoke"]}},
        "claims": [{"claim": "groups", "values": ["staff"], "roles": ["reader", "finance"]}],
    }
    upstream.claims["groups"] = ["staff"]
    async with (
        gateway_with(upstream, database_url, tmp_path, **roles) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        browser = Browser(gateway, session)
        client_id, pkce = await browser.caller.client_id(), Pkce()
        page = await browser.to_consent(client_id, pkce, scope="mcp:read mcp:invoke finance task:any:read")
        code = query_of((await browser.answer(page)).headers["Location"])["code"]
        issued = (await browser.caller.redeem(client_id, code, pkce)).json
        assert issued["scope"].split() == ["finance", "flow:*:invoke", "mcp:read"]
        await gateway.running.storage.database.execute("""UPDATE oauth_grants SET claims = '{"groups": []}'""")
        again = await browser.caller.token(
            grant_type="refresh_token", client_id=client_id, refresh_token=issued["refresh_token"]
        )
        again.refuses("invalid_grant")


async def test_who_is_removed_from_the_file_of_persons_holds_nothing_at_the_next_refresh(
    upstream: Provider, database_url: str, tmp_path: Path
) -> None:
    """The provider is not asked again, identity services are."""
    users = tmp_path / "users.json"
    users.write_text(json.dumps({"users": [{"id": "alice", "roles": ["reader"]}]}))
    roles: dict[str, Any] = {"roles": {"reader": {"scopes": ["mcp:read"]}}}
    async with (
        gateway_with(upstream, database_url, tmp_path, users, **roles) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        browser = Browser(gateway, session)
        client_id, pkce = await browser.caller.client_id(), Pkce()
        page = await browser.to_consent(client_id, pkce)
        code = query_of((await browser.answer(page)).headers["Location"])["code"]
        answer = await browser.caller.redeem(client_id, code, pkce)
        assert answer.json["scope"] == "mcp:read"
        users.write_text(json.dumps({"users": []}))

        async def refused() -> bool:
            nonlocal answer
            token = answer.json["refresh_token"]
            answer = await browser.caller.token(grant_type="refresh_token", client_id=client_id, refresh_token=token)
            return answer.status != 200

        await until(refused)
        answer.refuses("invalid_grant")


async def test_a_person_says_no(gateway: Gateway, browser: Browser) -> None:
    """RFC 6749, section 4.1.2.1: access_denied."""
    page = await browser.to_consent(await browser.caller.client_id(), Pkce(), state="s")
    for answer in ("deny", "allow"):
        done = await browser.answer(page, answer)
        if answer == "deny":
            told = query_of(done.headers["Location"])
            assert (told["error"], told["state"], told["iss"]) == ("access_denied", "s", gateway.url)
        else:
            assert done.status == 400, "an answer counts once"
    assert await counted(gateway, "oauth_codes") == 0


async def test_an_answer_counts_once(gateway: Gateway, browser: Browser) -> None:
    page = await browser.to_consent(await browser.caller.client_id(), Pkce())
    assert (await browser.answer(page)).status == 303
    assert (await browser.answer(page)).status == 400
    assert await counted(gateway, "oauth_codes") == 1


async def test_another_browser_cannot_go_on_with_a_login(gateway: Gateway, browser: Browser) -> None:
    """Neither with the provider's answer (login CSRF), nor with the page's form."""
    client_id = await browser.caller.client_id()
    back = await browser.to_provider(client_id, Pkce())
    mine, browser.cookie = browser.cookie, ""
    assert (await browser.open(back)).status == 400
    browser.cookie = "x" * 43
    assert (await browser.open(back)).status == 400
    browser.cookie = mine
    page = await browser.open(back)
    assert page.status == 200
    for cookie in ("", "x" * 43):
        browser.cookie = cookie
        assert (await browser.answer(page)).status == 400
    browser.cookie = mine
    assert (await browser.answer(page)).status == 303
    assert await counted(gateway, "oauth_codes") == 1


@pytest.mark.parametrize("changes", [{"token": ""}, {"token": "x" * 43}, {"state": ""}, {"state": "x" * 43}])
async def test_a_form_of_another_page_counts_for_nothing(
    gateway: Gateway, browser: Browser, changes: dict[str, str]
) -> None:
    """A page that makes the browser send a form (CSRF) does not know the token."""
    page = await browser.to_consent(await browser.caller.client_id(), Pkce())
    refused = await browser.answer(page, **changes)
    assert (refused.status, "Location" in refused.headers) == (400, False)
    assert await counted(gateway, "oauth_codes") == 0


async def test_client_and_redirect_cannot_change_on_the_way(gateway: Gateway, browser: Browser) -> None:
    page = await browser.to_consent(await browser.caller.client_id(), Pkce())
    other = await browser.caller.client_id(redirect_uris=["https://evil.example/"])
    done = await browser.answer(page, client_id=other, redirect_uri="https://evil.example/", scope="task:any:read")
    assert done.headers["Location"].startswith(f"{CALLBACK}?code=")
    assert await gateway.running.storage.database.fetchval("SELECT scopes FROM oauth_codes") == [
        "mcp:invoke",
        "mcp:read",
    ]


async def test_two_logins_of_one_browser_do_not_meet(gateway: Gateway, browser: Browser) -> None:
    client_id, first, second = await browser.caller.client_id(), Pkce(), Pkce()
    pages = []
    for pkce, state in ((first, "1"), (second, "2")):
        cookie = browser.cookie
        headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
        url = f"{gateway.url}/oauth/authorize"
        parameters = asked(client_id, pkce, state=state)
        async with browser.session.get(url, params=parameters, allow_redirects=False, headers=headers) as response:
            browser.cookie = response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
            assert cookie in ("", browser.cookie)
            back = (await browser.open(response.headers["Location"])).headers["Location"]
        pages.append(await browser.open(back))
    states = [query_of((await browser.answer(page)).headers["Location"])["state"] for page in pages]
    assert states == ["1", "2"]


async def test_a_login_takes_ten_minutes_at_most(gateway: Gateway, browser: Browser) -> None:
    page = await browser.to_consent(await browser.caller.client_id(), Pkce())
    await gateway.running.storage.database.execute(
        "UPDATE oauth_logins SET expires_at = expires_at - interval '601 seconds'"
    )
    assert (await browser.answer(page)).status == 400


async def test_no_page_is_shown_if_the_client_wants_none(browser: Browser) -> None:
    """OpenID Connect Core 1.0, section 3.1.2.6."""
    client_id = await browser.caller.client_id(redirect_uris=[LOOPBACK])
    answer = await browser.caller.authorize(client_id, Pkce(), prompt="none", redirect_uri=LOOPBACK)
    assert answer.redirected["error"] == "interaction_required"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"scope": 'mcp:"read'}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"prompt": "none"}, "interaction_required"),
    ],
    ids=str,
)
async def test_nobody_is_sent_to_a_page_that_nobody_has_checked_before_agreeing_to_it(
    browser: Browser, more: dict[str, str], error: str
) -> None:
    """RFC 9700, section 4.11.2: "The authorization server SHOULD only automatically redirect the user agent if it
    trusts the redirection URI"."""
    client_id = await browser.caller.client_id()
    answer = await browser.caller.authorize(client_id, Pkce(), state="s", **more)
    told = answer.linked
    assert (told["error"], told["state"], told["iss"]) == (error, "s", browser.gateway.url)
    assert "<strong>client.example</strong>" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_scopes_that_the_person_lacks_send_nobody_to_such_a_page_either(browser: Browser) -> None:
    """The person may be logged in at the provider already, so that no page was shown so far."""
    page = await browser.to_consent(await browser.caller.client_id(), Pkce(), scope="task:any:read", state="s")
    assert (page.linked["error"], page.linked["state"]) == ("access_denied", "s")


async def test_a_client_of_an_operator_is_told_of_errors_at_once(
    gateway: Gateway, browser: Browser, database_url: str
) -> None:
    """RFC 6749, section 4.1.2.1."""
    made = clients.made("Portal", ["mcp:read"], [CALLBACK], secret=False)
    connection = await asyncpg.connect(database_url)
    try:
        await clients.store(connection, made.client)
    finally:
        await connection.close()
    answer = await browser.caller.authorize(made.client_id, Pkce(), response_type="token")
    assert answer.redirected["error"] == "unsupported_response_type"


async def test_nothing_readable_of_a_login_is_stored(gateway: Gateway, upstream: Provider, browser: Browser) -> None:
    await browser.to_consent(await browser.caller.client_id(), Pkce())
    text = await gateway.running.storage.database.fetchval("SELECT json_agg(t)::text FROM oauth_logins t")
    sent = upstream.requests[0]
    for secret in (browser.cookie, sent["state"], sent["nonce"]):
        assert secret not in text


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("http://127.0.0.1:33418/cb", "127.0.0.1:33418"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp"),
    ],
)
async def test_a_person_is_warned_of_programs_on_the_own_computer(browser: Browser, uri: str, host: str) -> None:
    """MCP: "additional warnings for localhost-only redirect URIs"."""
    client_id = await browser.caller.client_id(redirect_uris=[uri])
    page = await browser.to_consent(client_id, Pkce(), redirect_uri=uri)
    assert f"<strong>{host}</strong>" in page.text
    assert "your own computer" in page.text
    done = await browser.answer(page)
    assert done.headers["Location"].startswith(f"{uri}?code=")
