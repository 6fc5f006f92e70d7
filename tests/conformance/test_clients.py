"""Clients of others do the whole code flow by themselves: 401, metadata, registration, authorization, token, call,
refresh."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client
from mcp.shared.auth import OAuthClientInformationFull
from mcp.types import TextContent

from servers.certificates import Authority
from servers.ports import free_port
from tests.conformance.deployment import Deployment
from tests.conformance.tools import Node, run
from tests.support.oauth import SECRET, Pkce, asked
from tests.support.official_client import LOOPBACK, Browser, Storage, official
from tests.support.web import Web, http, web

pytestmark = pytest.mark.timeout(400)

CALLBACK = LOOPBACK
COMMON = "mcp:read mcp:invoke"
"""What a challenge names, so that an ordinary client never has to step up."""
HERE = Path(__file__).parent
TOLD = {"told": {"n": 1}}


@contextlib.asynccontextmanager
async def document_host(authority: Authority, redirect_uri: str) -> AsyncIterator[tuple[Web, str]]:
    """A server with a client's metadata, whose certificate the deployment trusts; and the document's URL."""
    shown = authority.issue("client")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(shown.certificate, shown.key)
    async with web(tls=tls) as host:
        url = f"{host.url}/client.json"
        document = {"client_id": url, "client_name": "Described", "redirect_uris": [redirect_uri]}
        host.answer = http(json.dumps(document).encode(), "200 OK", "Content-Type: application/json")
        yield host, url


async def typescript(node: Node, deployment: Deployment, *calls: str, **options: Any) -> Any:
    arguments = {"url": deployment.url, "secret": SECRET, "calls": calls or ["echo"], **options}
    return (await node.run("sdk_client.mjs", json.dumps(arguments))).answer


async def with_fastmcp(interpreter: str, deployment: Deployment, *calls: str, **options: Any) -> Any:
    arguments = {"url": deployment.url, "calls": calls or ["echo"], **options}
    return (await run(interpreter, str(HERE / "python" / "fastmcp_login.py"), json.dumps(arguments))).answer


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def made_for_finance(deployment: Deployment, redirect_uri: str) -> str:
    """The id of a client that an operator made, because one that registers itself never gets a flow's own scopes."""
    scopes = [part for scope in ("mcp:read", "mcp:invoke", "finance") for part in ("--scope", scope)]
    made = await deployment.client_made_by_an_operator("Accountant", "--redirect-uri", redirect_uri, *scopes)
    return made["client_id"]


@pytest.fixture
async def accountant(deployment: Deployment) -> str:
    """Its redirect is followed by nobody, so no port is listened at."""
    return await made_for_finance(deployment, CALLBACK)


async def test_the_typescript_client_registers_and_refreshes(deployment: Deployment, node: Node) -> None:
    """Its second call has an expired token, for which it gets 401."""
    seen = await typescript(node, deployment)
    assert seen["client"].startswith("asya_client_")
    assert seen["tools"] == ["echo", "ledger"]
    assert told(seen) == [1, 2]
    assert (seen["visits"], seen["refreshes"], seen["renewed"]) == ([COMMON], 1, True)


async def test_the_typescript_client_is_described_by_a_document(
    deployment: Deployment, node: Node, authority: Authority
) -> None:
    async with document_host(authority, CALLBACK) as (host, url):
        seen = await typescript(node, deployment, metadataUrl=url)
        assert host.connections == 1
    assert seen["client"] == url
    assert told(seen) == [1, 2]
    assert (seen["visits"], seen["refreshes"]) == ([COMMON], 1)


async def test_the_typescript_client_steps_up(deployment: Deployment, node: Node, accountant: str) -> None:
    """RFC 6750, section 3.1: insufficient_scope. This client asks for what the challenge names and for nothing else.
    With a refresh token it refreshes first, which gives it no further scope, so it keeps none here."""
    seen = await typescript(node, deployment, "echo", "ledger", clientId=accountant, keepsRefreshToken=False)
    assert told(seen) == [1, 1]
    assert seen["visits"] == [COMMON, "finance mcp:invoke"]
    assert seen["scopes"] == ["mcp:invoke mcp:read", "finance mcp:invoke"]


async def test_fastmcp_registers_and_refreshes(deployment: Deployment, fastmcp: str) -> None:
    seen = await with_fastmcp(fastmcp, deployment)
    assert seen["client"].startswith("asya_client_")
    assert seen["tools"] == ["echo", "ledger"]
    assert told(seen) == [1, 2]
    assert (seen["visits"], seen["renewed"]) == ([COMMON], True)


async def test_fastmcp_is_described_by_a_document(deployment: Deployment, fastmcp: str, authority: Authority) -> None:
    """RFC 8252, section 7.3: the document's loopback redirect has no port, and the client's has a free one."""
    async with document_host(authority, "http://localhost/callback") as (host, url):
        seen = await with_fastmcp(fastmcp, deployment, metadata_url=url)
        assert host.connections == 1
    assert seen["client"] == url
    assert told(seen) == [1, 2]


async def test_fastmcp_steps_up(deployment: Deployment, fastmcp: str) -> None:
    """It listens for its browser, so the port must be free."""
    port = free_port()
    client_id = await made_for_finance(deployment, f"http://localhost:{port}/callback")
    seen = await with_fastmcp(fastmcp, deployment, "echo", "ledger", client_id=client_id, callback_port=port)
    assert told(seen) == [1, 1, 2]
    assert seen["visits"] == [COMMON, f"{COMMON} finance"]
    assert (seen["scopes"], seen["renewed"]) == ("finance mcp:invoke mcp:read", True)


async def test_the_python_client_registers_and_refreshes(
    deployment: Deployment, session: aiohttp.ClientSession
) -> None:
    storage, browser = Storage(), Browser(session)
    async with official(f"{deployment.url}/mcp", storage, browser) as (client, provider):
        assert await called(client, "echo") == TOLD
        first = storage.tokens
        provider.context.token_expiry_time = 1.0
        assert await called(client, "echo") == TOLD
    assert browser.asked == [COMMON]
    assert first is not None
    assert storage.tokens is not None
    assert storage.tokens.access_token != first.access_token
    assert storage.tokens.refresh_token not in (None, first.refresh_token)


async def test_the_python_client_is_described_by_a_document(
    deployment: Deployment, session: aiohttp.ClientSession, authority: Authority
) -> None:
    storage = Storage()
    async with document_host(authority, CALLBACK) as (host, url):
        async with official(f"{deployment.url}/mcp", storage, Browser(session), url) as (client, _):
            assert await called(client, "echo") == TOLD
        assert host.connections == 1
    assert storage.client is not None
    assert storage.client.client_id == url


async def test_the_python_client_steps_up(
    deployment: Deployment, session: aiohttp.ClientSession, accountant: str
) -> None:
    storage, browser = Storage(), Browser(session)
    metadata = {"client_id": accountant, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    storage.client = OAuthClientInformationFull.model_validate(metadata)
    async with official(f"{deployment.url}/mcp", storage, browser) as (client, _):
        assert await called(client, "echo") == TOLD
        assert await called(client, "ledger") == TOLD
    assert browser.asked == [COMMON, f"{COMMON} finance"]


async def test_a_document_elsewhere_is_not_fetched(
    deployment: Deployment, session: aiohttp.ClientSession, authority: Authority
) -> None:
    """The guard opens what a setting names, and no other address of the same machine. The answer is that of a host
    which is away, so it tells nothing of the network."""
    async with document_host(authority, CALLBACK) as (host, url):
        elsewhere = url.replace("127.0.0.1", "127.0.0.2")
        asked_for = asked(elsewhere, Pkce(), redirect_uri=CALLBACK)
        async with session.get(f"{deployment.url}/oauth/authorize", params=asked_for, allow_redirects=False) as answer:
            assert answer.status == 503
            assert "Location" not in answer.headers
        assert host.connections == 0


def told(seen: Any) -> list[int]:
    """Which arguments came back."""
    texts = [result if isinstance(result, str) else result[0]["text"] for result in seen["results"]]
    return [json.loads(text)["told"]["n"] for text in texts]


async def called(client: Client, name: str) -> Any:
    content = (await client.call_tool(name, {"n": 1})).content[0]
    assert isinstance(content, TextContent)
    return json.loads(content.text)
