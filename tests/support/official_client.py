"""The official client of Python, with storage in memory and a browser without a person."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

LOOPBACK = "http://localhost:33418/callback"


class Storage:
    """What the official client keeps."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Follows the authorization to the redirect, as a person's browser does."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._answer: asyncio.Queue[dict[str, list[str]]] = asyncio.Queue()
        self.asked: list[str] = []
        """The scopes of each visit."""

    async def open(self, url: str) -> None:
        self.asked += parse_qs(urlsplit(url).query)["scope"]
        async with self._session.get(url, allow_redirects=False) as response:
            assert response.status == 302, await response.text()
            location = response.headers["Location"]
            assert location.startswith(LOOPBACK)
            self._answer.put_nowait(parse_qs(urlsplit(location).query))

    async def callback(self) -> AuthorizationCodeResult:
        answer = await self._answer.get()
        return AuthorizationCodeResult(code=answer["code"][0], state=answer["state"][0], iss=answer["iss"][0])


@contextlib.asynccontextmanager
async def official(
    server_url: str, storage: Storage, browser: Browser, metadata_url: str | None = None
) -> AsyncIterator[tuple[Client, OAuthClientProvider]]:
    """A connected client, and the part of it that holds the tokens."""
    provider = OAuthClientProvider(
        server_url=server_url,
        client_metadata=OAuthClientMetadata.model_validate({"client_name": "SDK", "redirect_uris": [LOOPBACK]}),
        storage=storage,
        redirect_handler=browser.open,
        callback_handler=browser.callback,
        client_metadata_url=metadata_url,
    )
    async with httpx2.AsyncClient(auth=provider, timeout=60) as session:
        transport = streamable_http_client(server_url, http_client=session)
        async with Client(transport) as client:
            yield client, provider
