"""The routes of the authorization server on a port, and a client of them."""

import asyncio
import contextlib
import html
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from asya_crds import jsontext
from asya_gateway.protocols.http.policies import POLICIES, Policies
from asya_gateway.protocols.oauth.endpoints import Endpoints
from asya_gateway.protocols.oauth.rates import SourceRates
from asya_gateway.protocols.oauth.routes import register_resources, register_server
from asya_gateway.storage.database import Database
from tests.support.oauth import CALLBACK, ISSUER, Pkce, Replica, asked, query_of

Form = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass
class Answer:
    """What a request got."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/json"), self.text
        return jsontext.loads(self.text)

    @property
    def linked(self) -> Mapping[str, str]:
        """The parameters of the link on a page that sends nobody anywhere."""
        assert (self.status, "Location" in self.headers) == (400, False), self.text
        [link] = re.findall(r'href="([^"]*)"', self.text)
        return query_of(html.unescape(link))

    @property
    def redirected(self) -> Mapping[str, str]:
        """The parameters of the redirect."""
        assert self.status == 302, self.text
        return query_of(self.headers["Location"])

    def refuses(self, error: str, status: int = 400) -> None:
        """The JSON of RFC 6749, section 5.2."""
        assert self.json["error"] == error, self.text
        assert self.status == status
        assert self.json["error_description"]
        assert self.headers["Cache-Control"] == "no-store"


@dataclass
class OAuthCaller:
    """Sends requests to an authorization server."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, parameters: Form | str = (), **headers: str) -> Answer:
        url = self.url + path + (f"?{parameters}" if isinstance(parameters, str) else "")
        params = None if isinstance(parameters, str) else list(_pairs(parameters))
        return await self._send("GET", url, params=params, headers=headers)

    async def post(self, path: str, form: Form, **headers: str) -> Answer:
        body = urlencode(_pairs(form), errors="surrogatepass").encode()
        return await self.send(path, body, "application/x-www-form-urlencoded", **headers)

    async def send(self, path: str, body: bytes, content_type: str, **headers: str) -> Answer:
        headers = {"Content-Type": content_type, **headers}
        return await self._send("POST", self.url + path, data=body, headers=headers)

    async def register(self, document: Any = None, **headers: str) -> Answer:
        document = {"redirect_uris": [CALLBACK]} if document is None else document
        body = document if isinstance(document, bytes) else jsontext.dumps(document).encode()
        return await self.send("/oauth/register", body, "application/json", **headers)

    async def client_id(self, **members: Any) -> str:
        answer = await self.register({"redirect_uris": [CALLBACK], **members})
        assert answer.status == 201, answer.text
        return str(answer.json["client_id"])

    async def authorize(self, client_id: str, pkce: Pkce, **more: str) -> Answer:
        return await self.get("/oauth/authorize", asked(client_id, pkce, **more))

    async def token(self, **form: str) -> Answer:
        return await self.post("/oauth/token", form)

    async def redeem(self, client_id: str, code: str, pkce: Pkce, **more: str) -> Answer:
        return await self.token(**{**redemption(client_id, code, pkce), **more})

    async def tokens(self, client_id: str, **more: str) -> Any:
        """The whole flow."""
        pkce = Pkce()
        code = (await self.authorize(client_id, pkce, **more)).redirected["code"]
        answer = await self.redeem(client_id, code, pkce)
        assert answer.status == 200, answer.text
        return answer.json

    async def _send(self, method: str, url: str, **options: Any) -> Answer:
        async with (
            asyncio.timeout(20),
            self.session.request(method, url, allow_redirects=False, **options) as response,
        ):
            return Answer(response.status, await response.text(), response.headers)


@dataclass
class OAuthServer(OAuthCaller):
    """One replica's routes, and the replica."""

    replica: Replica

    async def stored(self) -> int:
        """Rows of the authorization server."""
        tables = ("oauth_clients", "oauth_codes", "oauth_grants", "oauth_refresh_tokens", "oauth_logins")
        return sum([await self.replica.count(table) for table in tables])


@contextlib.asynccontextmanager
async def serve_oauth(database_url: str, *, per_minute: float = 0, **rules: Any) -> AsyncGenerator[OAuthServer]:
    """`per_minute`: the limit of requests of one source; 0 is none."""
    database = Database(database_url, min_size=1, max_size=4, statement_timeout=20)
    await database.open()
    replica = Replica(database, **rules)
    app = web.Application()
    app[POLICIES] = Policies()
    endpoints = Endpoints(
        replica.clients,
        replica.authorizing,
        replica.tokens,
        SourceRates(per_minute, lambda request: request.remote or ""),
    )
    register_server(app, endpoints, ISSUER, documents=False)
    register_resources(app, ISSUER, [ISSUER])
    try:
        async with serving_app(app) as url, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield OAuthServer(url, session, replica)
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def serving_app(app: web.Application) -> AsyncGenerator[str]:
    """The URL at which the application is served."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def redemption(client_id: str, code: str, pkce: Pkce) -> dict[str, str]:
    """The form that redeems a code."""
    return {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": pkce.verifier,
    }


def _pairs(form: Form) -> Sequence[tuple[str, str]]:
    return list(form.items()) if isinstance(form, Mapping) else list(form)
