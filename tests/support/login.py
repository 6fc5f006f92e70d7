"""A gateway whose persons log in at a provider, and a person's browser."""

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from asya_gateway.protocols.oauth.login import COOKIE
from tests.support.gateway import Gateway, start_gateway
from tests.support.oauth import Pkce, asked, oauth_settings
from tests.support.oauth_server import Answer, OAuthCaller
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider


def login_settings(upstream: Provider, folder: Path, users: Path | None = None) -> dict[str, Any]:
    """Settings of a gateway whose persons log in at the provider; `users` is a file of persons beside it."""
    (folder / "secret").write_text(CLIENT_SECRET + "\n")
    service = {
        "type": "oauth2",
        "issuer": upstream.url,
        "audience": "https://asya.example.com",
        "alias": "corp",
        "login": True,
        "client_id": CLIENT_ID,
        "client_secret_file": str(folder / "secret"),
        "scopes": ["openid", "email"],
    }
    config = folder / "gateway.yaml"
    others = [] if users is None else [{"type": "local_file", "file_path": str(users)}]
    config.write_text(json.dumps({"identity_service": [service, *others]}))
    return oauth_settings(gateway_config=str(config), config_poll_interval=0.1)


@asynccontextmanager
async def gateway_with(
    upstream: Provider, database_url: str, folder: Path, users: Path | None = None, **roles: Any
) -> AsyncIterator[Gateway]:
    """A gateway with these settings, and with a file of roles."""
    settings = login_settings(upstream, folder, users)
    if roles:
        (folder / "roles.yaml").write_text(json.dumps(roles))
        settings["roles_file"] = str(folder / "roles.yaml")
    async with start_gateway(database_url, **settings) as made:
        yield made


class Browser:
    """A person's browser. It keeps the one cookie, and follows redirects when it is told to."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.gateway, self.caller = gateway, OAuthCaller(gateway.url, session)
        self.session = session
        self.cookie = ""
        self.set_cookie = ""

    async def open(self, url: str) -> Answer:
        headers = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie and url.startswith(self.gateway.url) else {}
        async with self.session.get(url, allow_redirects=False, headers=headers) as response:
            if "Set-Cookie" in response.headers:
                self.set_cookie = response.headers["Set-Cookie"]
                self.cookie = self.set_cookie.partition(";")[0].partition("=")[2]
            return Answer(response.status, await response.text(), response.headers)

    async def answer(self, page: Answer, answer: str = "allow", **changes: str) -> Answer:
        """Send the page's form."""
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        form = {**{name: html.unescape(value) for name, value in fields.items()}, "answer": answer, **changes}
        headers = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        return await self.caller.post("/oauth/consent", form, Origin=self.gateway.url, **headers)

    async def to_provider(self, client_id: str, pkce: Pkce, **more: str) -> str:
        """The redirect back from the provider."""
        url = f"{self.gateway.url}/oauth/authorize"
        async with self.session.get(url, params=asked(client_id, pkce, **more), allow_redirects=False) as response:
            location = response.headers["Location"]
            self.set_cookie = response.headers["Set-Cookie"]
            self.cookie = self.set_cookie.partition(";")[0].partition("=")[2]
        return (await self.open(location)).headers["Location"]

    async def to_consent(self, client_id: str, pkce: Pkce, **more: str) -> Answer:
        return await self.open(await self.to_provider(client_id, pkce, **more))
