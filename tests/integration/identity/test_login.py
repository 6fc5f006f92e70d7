"""`asya login` against a gateway that is its own authorization server."""

import asyncio
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asya_cli.bearers import Bearer, TokenSource, given
from asya_cli.client import GatewayClient, connect
from asya_cli.errors import CliError, ExitCode
from asya_cli.login.bearer import LoginBearer
from asya_cli.login.browser import Wishes, log_in
from asya_cli.login.ending import log_out
from asya_cli.login.store import Login, LoginFolder
from servers.forking import run
from tests.support.gateway import Gateway, start_gateway
from tests.support.login import Browser as Person
from tests.support.login import gateway_with
from tests.support.login_command import Browser
from tests.support.oauth import oauth_settings
from tests.support.provider import provider
from tests.support.waiting import until


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, **oauth_settings()) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> LoginFolder:
    return LoginFolder(tmp_path / "state" / "logins")


async def logged_in(gateway: Gateway, store: LoginFolder, browser: Browser | None = None, **wishes: Any) -> Login:
    login = await log_in(gateway.url, store, Wishes(**wishes), (browser or Browser()).show)
    assert login is not None
    return login


def ended(login: Login) -> Login:
    """The login after its access token has ended, by this machine's clock."""
    return replace(login, expires_at=time.time() - 1)


async def registered(gateway: Gateway) -> int:
    return int(await gateway.running.storage.database.fetchval("SELECT count(*) FROM oauth_clients"))


async def test_a_login_lets_the_commands_call(gateway: Gateway, store: LoginFolder) -> None:
    browser = Browser()
    login = await logged_in(gateway, store, browser)
    assert login.scope == "mcp:invoke mcp:read"
    async with connect(gateway.url, LoginBearer(login, store)) as client:
        assert {tool["name"] for tool in await client.tools()} == {"shout", "anything"}
        handle = await client.call("anything", {})
        assert (await client.task(handle["task_id"]))["status"] == "pending"
    assert [status for status, _ in browser.pages] == [200]


async def test_the_request_is_the_one_of_the_rfcs(gateway: Gateway, store: LoginFolder) -> None:
    """RFC 7636, section 4.3; RFC 8707, section 2; RFC 8252, section 7.3: a loopback address, and any port."""
    browser = Browser()
    await logged_in(gateway, store, browser)
    asked = browser.asked()
    assert asked["code_challenge_method"] == "S256"
    assert asked["resource"] == f"{gateway.url}/mcp"
    assert asked["scope"] == "mcp:read mcp:invoke"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])
    assert len(asked["state"]) >= 32


async def test_only_this_user_can_read_the_tokens(gateway: Gateway, store: LoginFolder, tmp_path: Path) -> None:
    await logged_in(gateway, store)
    folder = tmp_path / "state" / "logins"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.suffix for path in folder.iterdir()} == {".json", ""}, "the login, and what is locked"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_login_is_printed_without_its_secrets() -> None:
    login = Login("g", "i", "r", "t", "v", "s", "the-client", "the-access", "the-refresh", 0.0)
    assert not re.search("the-client|the-access|the-refresh", repr(login))


async def test_a_second_login_is_the_same_caller(gateway: Gateway, store: LoginFolder) -> None:
    """Tasks belong to the client where no persons log in."""
    first = await logged_in(gateway, store)
    second = await logged_in(gateway, store)
    assert (first.client_id, await registered(gateway)) == (second.client_id, 1)
    assert first.refresh_token != second.refresh_token
    living = "SELECT count(*) FROM oauth_grants WHERE revoked_at IS NULL"
    assert await gateway.running.storage.database.fetchval(living) == 1, "the first one is revoked"


async def test_a_client_that_the_gateway_forgot_registers_again(gateway: Gateway, store: LoginFolder) -> None:
    first = await logged_in(gateway, store)
    await gateway.running.storage.database.execute("DELETE FROM oauth_clients")
    second = await logged_in(gateway, store)
    assert first.client_id != second.client_id


async def test_a_redirect_with_another_state_does_not_end_the_wait(gateway: Gateway, store: LoginFolder) -> None:
    """RFC 6749, section 10.12: any page can send the browser to the listener."""
    browser = Browser(before=({"code": "stolen", "state": "guessed"}, {"code": "stolen"}))
    await logged_in(gateway, store, browser)
    assert [status for status, _ in browser.pages] == [400, 400, 200]


@pytest.mark.parametrize("iss", ["https://other.example", ""])
async def test_a_redirect_of_another_server_is_refused(gateway: Gateway, store: LoginFolder, iss: str) -> None:
    """RFC 9207, section 2.4: "clients MUST reject authorization responses" with another issuer, or without one if the
    server says that it sends it."""
    with pytest.raises(CliError, match="the redirect is not of"):
        await logged_in(gateway, store, Browser(replaced={"iss": iss}))
    assert store.read(gateway.url) is None


async def test_what_the_server_refuses_is_told_to_the_person_and_to_the_command(
    gateway: Gateway, store: LoginFolder
) -> None:
    await logged_in(gateway, store)
    browser = Browser()
    with pytest.raises(CliError, match="refuses: invalid_scope: "):
        await logged_in(gateway, store, browser, scopes=('not"a"scope',))
    [(_, page)] = browser.pages
    assert "The login failed" in page


async def test_scopes_of_operators_are_not_granted_to_a_client_that_registered_itself(
    gateway: Gateway, store: LoginFolder
) -> None:
    login = await logged_in(gateway, store, scopes=("mcp:read", "task:any:cancel"))
    assert login.scope == "mcp:read"


async def test_a_registration_token_is_asked_for_by_name(database_url: str, store: LoginFolder) -> None:
    async with start_gateway(database_url, **oauth_settings(mcp_oauth_registration_token="a-token")) as gateway:
        for wrong in ("", "another"):
            with pytest.raises(CliError, match="--registration-token"):
                await logged_in(gateway, store, registration_token=wrong)
        await logged_in(gateway, store, registration_token="a-token")


async def test_an_open_gateway_has_nothing_to_log_in_to(database_url: str, store: LoginFolder) -> None:
    async with start_gateway(database_url) as gateway:
        assert await log_in(gateway.url, store, Wishes(), Browser().show) is None


async def test_a_gateway_with_keys_alone_says_so(database_url: str, store: LoginFolder) -> None:
    async with start_gateway(database_url, auth="required") as gateway:
        with pytest.raises(CliError, match="asks who calls: give a key by --token or ASYA_TOKEN"):
            await logged_in(gateway, store)


async def test_a_gateway_under_another_name_than_its_own_is_refused(gateway: Gateway, store: LoginFolder) -> None:
    """RFC 9728, section 3.3: metadata of another resource must not be used."""
    other = gateway.url.replace("127.0.0.1", "localhost")
    with pytest.raises(CliError, match=f"{other} says that it is {gateway.url}/mcp"):
        await log_in(other, store, Wishes(), Browser().show)


async def test_nothing_is_sent_over_a_network_that_others_read(store: LoginFolder) -> None:
    with pytest.raises(CliError, match="expected https"):
        await log_in("http://asya.example.com", store, Wishes(), Browser().show)


async def test_a_person_who_logs_in_gets_what_a_flow_requires(
    database_url: str, store: LoginFolder, tmp_path: Path
) -> None:
    roles: dict[str, Any] = {
        "roles": {"clerk": {"scopes": ["mcp:read", "mcp:invoke", "finance"]}},
        "claims": [{"claim": "groups", "value": "staff", "roles": ["clerk"]}],
    }
    async with (
        provider() as upstream,
        gateway_with(upstream, database_url, tmp_path, **roles) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        upstream.claims["groups"] = ["staff"]
        pages: list[str] = []

        async def visit(url: str) -> None:
            person = Person(gateway, session)
            provided = (await person.open(url)).headers["Location"]
            page = await person.open((await person.open(provided)).headers["Location"])
            answered = await person.answer(page)
            pages.append((await person.open(answered.headers["Location"])).text)

        visits: list[asyncio.Task[None]] = []

        async def show(url: str) -> None:
            visits.append(asyncio.create_task(visit(url)))

        login = await log_in(gateway.url, store, Wishes(scopes=("mcp:read", "mcp:invoke", "finance")), show)
        assert login is not None
        assert login.scope == "finance mcp:invoke mcp:read"
        async with connect(gateway.url, LoginBearer(login, store)) as client:
            await client.call("anything", {})
        assert await gateway.running.storage.database.fetchval("SELECT owner FROM tasks") == "user:corp:alice"
        await asyncio.gather(*visits)
    assert "go back to the command line" in pages[0]


# Renewal


async def test_a_token_that_has_ended_is_renewed_and_stored(gateway: Gateway, store: LoginFolder) -> None:
    store.write(before := ended(await logged_in(gateway, store)))
    async with connect(gateway.url, LoginBearer(before, store)) as client:
        await client.tools()
    after = store.read(gateway.url)
    assert after is not None
    assert after.access_token != before.access_token
    assert after.expires_at > time.time()


async def test_a_token_that_is_refused_is_renewed_whatever_the_clock_says(gateway: Gateway, store: LoginFolder) -> None:
    store.write(wrong := replace(await logged_in(gateway, store), access_token="no-token"))
    async with connect(gateway.url, LoginBearer(wrong, store)) as client:
        await client.tools()


async def test_many_commands_at_once_renew_once(gateway: Gateway, store: LoginFolder) -> None:
    store.write(before := ended(await logged_in(gateway, store)))
    bearers = [LoginBearer(before, store) for _ in range(8)]
    tokens = set(await asyncio.gather(*(each.token() for each in bearers)))
    assert len(tokens) == 1
    database = gateway.running.storage.database
    assert await database.fetchval("SELECT count(*) FROM oauth_refresh_tokens") == 2


async def test_a_login_that_was_revoked_says_how_to_go_on(gateway: Gateway, store: LoginFolder) -> None:
    login = await logged_in(gateway, store)
    bearer: Bearer = LoginBearer(login, store)
    other = LoginFolder(Path(str(store._folder) + "-copy"))
    other.write(login)
    assert await log_out(gateway.url, other)

    async def is_refused() -> bool:
        headers = {"Authorization": f"Bearer {login.access_token}"}
        return (await gateway.get("/tasks", headers=headers))[0] == 401

    await until(is_refused)
    async with connect(gateway.url, bearer) as client:
        with pytest.raises(CliError, match=r"has ended; log in again with `asya login`"):
            await client.tools()


async def test_a_login_at_a_gateway_that_is_open_by_now_does_no_harm(database_url: str, store: LoginFolder) -> None:
    async with start_gateway(database_url) as gateway:
        nowhere = f"{gateway.url}/oauth/token"
        login = Login(gateway.url, gateway.url, "r", nowhere, "", "s", "c", "a", "r", 0.0)
        store.write(login)
        async with connect(gateway.url, LoginBearer(login, store)) as client:
            assert await client.tools()


# Logging out


async def test_a_logout_revokes_and_forgets(gateway: Gateway, store: LoginFolder) -> None:
    await logged_in(gateway, store)
    assert await log_out(gateway.url, store)
    assert store.read(gateway.url) is None
    database = gateway.running.storage.database
    assert await database.fetchval("SELECT count(*) FROM oauth_grants WHERE revoked_at IS NULL") == 0
    assert not await log_out(gateway.url, store)


async def test_a_login_is_forgotten_although_it_could_not_be_revoked(gateway: Gateway, store: LoginFolder) -> None:
    store.write(replace(await logged_in(gateway, store), revocation_endpoint="http://127.0.0.1:1/revoke"))
    with pytest.raises(CliError, match="is removed here, but was not revoked") as raised:
        await log_out(gateway.url, store)
    assert raised.value.code is ExitCode.UNREACHABLE
    assert store.read(gateway.url) is None


# The store


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"gateway": 1}', "\x00", '{"gateway": "g"'])
async def test_a_file_that_is_no_login_is_none(store: LoginFolder, tmp_path: Path, content: str) -> None:
    store.write(Login("https://g.example", "i", "r", "t", "v", "s", "c", "a", "r", 0.0))
    [file] = (tmp_path / "state" / "logins").glob("*.json")
    file.write_text(content)
    assert store.read("https://g.example") is None


async def test_a_folder_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(CliError, match="belongs to another user"):
        LoginFolder(tmp_path / "link").write(Login("g", "i", "r", "t", "v", "s", "c", "a", "r", 0.0))


# What a refused caller reads


async def refused(client: GatewayClient) -> str:
    with pytest.raises(CliError) as raised:
        await client.tools()
    assert raised.value.code is ExitCode.FAILED
    return raised.value.message


async def test_a_caller_without_a_token_reads_both_ways_to_one(gateway: Gateway) -> None:
    async with connect(gateway.url) as client:
        told = await refused(client)
    assert told.startswith(f"{gateway.url} asks who calls: log in with `asya login`, or give a key by --token")


async def test_a_bad_token_is_told_apart_from_none(gateway: Gateway) -> None:
    async with connect(gateway.url, given("nonsense")) as client:
        told = await refused(client)
    assert "refuses the token of --token or ASYA_TOKEN" in told
    assert "nonsense" not in told


async def test_missing_scopes_are_named_with_those_held_and_how_to_get_them(
    gateway: Gateway, store: LoginFolder
) -> None:
    login = await logged_in(gateway, store, scopes=("mcp:read",))
    async with connect(gateway.url, LoginBearer(login, store)) as client:
        with pytest.raises(CliError) as raised:
            await client.call("anything", {})
    assert "you hold mcp:read:" in raised.value.message
    assert "`asya auth key create NAME --scope mcp:invoke --scope mcp:read`" in raised.value.message
    assert "`asya login --scope mcp:invoke --scope mcp:read`" in raised.value.message
    async with connect(gateway.url, given(login.access_token)) as client:
        with pytest.raises(CliError) as raised:
            await client.call("anything", {})
    assert "`asya auth key create NAME --scope mcp:invoke --scope mcp:read`" in raised.value.message
    assert "asya login" not in raised.value.message, "a token that was given is sent instead of any login"


def test_a_token_that_no_header_can_carry_is_refused_before_it_is_sent() -> None:
    for wrong in ("two words", "line\nbreak", "é", "x" * 16_000):
        with pytest.raises(CliError, match="--token or ASYA_TOKEN") as raised:
            given(wrong)
        assert wrong not in raised.value.message
    assert given("good").held is TokenSource.TOKEN


# The whole command


async def test_the_commands_log_in_call_and_log_out(gateway: Gateway, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
    environment = kept | {"ASYA_URL": gateway.url, "XDG_STATE_HOME": str(tmp_path)}

    async def asya(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(run, "asya_cli", *words, env=environment, timeout=30)
        return done.returncode, done.stdout + done.stderr

    login = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "asya_cli", "login", "--no-browser", "--scope", "mcp:read", "--scope", "task:any:answer"),
        env=environment,
        stderr=subprocess.PIPE,
    )
    assert login.stderr is not None
    said = b""
    while not (found := re.search(rb"http://\S+/oauth/authorize\S+\n", said)):
        said += (line := await login.stderr.readline())
        assert line, said
    async with aiohttp.ClientSession() as session, session.get(found[0].decode().strip()) as page:
        assert "go back to the command line" in await page.text()
    rest = (await login.stderr.read()).decode()
    assert await login.wait() == 0
    granted, refused = rest.splitlines()[-2:]
    assert granted == f"logged in at {gateway.url}: mcp:read; it is renewed by itself"
    assert refused.startswith("not granted: task:any:answer; ")
    assert await asya("task", "list") == (0, "no tasks\n")
    assert await asya("logout") == (0, f"logged out of {gateway.url}\n")
    code, told = await asya("task", "list")
    assert (code, "Traceback" in told) == (1, False)
    assert "asks who calls" in told
