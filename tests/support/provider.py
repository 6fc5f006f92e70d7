"""An OpenID provider for tests: a person is whoever the test says, and each step can lie."""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.support.issuers import document, key_for, token
from tests.support.oauth_server import serving_app

CLIENT_ID = "asya-gateway"
CLIENT_SECRET = "provider's secret: +/="


@dataclass
class Provider:
    """`claims` are those of the next ID token, `lies` replaces parts of its answers."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "alice", "email": "alice@corp.example"})
    metadata: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    """Parameters of the redirect that replace the usual ones; an empty one is left out."""
    token_status: int = 200
    nonce: str | None = None
    requests: list[Mapping[str, str]] = field(default_factory=list)
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def be_honest(self) -> None:
        """Answer as a provider should, until the next lie."""
        honest = Provider()
        self.claims, self.metadata, self.answer = honest.claims, honest.metadata, honest.answer
        self.token_status, self.nonce = honest.token_status, honest.nonce

    async def discovery(self, _request: web.Request) -> web.Response:
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response({**found, **self.metadata})

    async def keys(self, _request: web.Request) -> web.Response:
        return web.Response(body=document(key_for("ES256")), content_type="application/json")

    async def authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.requests.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.url, **self.answer}
        kept = {name: value for name, value in answer.items() if value}
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(kept)}"})

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_proved(request, form, asked):
            return web.json_response({"error": "invalid_grant"}, status=400)
        if self.token_status != 200:
            return web.json_response({"error": "server_error"}, status=self.token_status)
        nonce = self.nonce or asked["nonce"]
        claims = {"iss": self.url, "aud": CLIENT_ID, "nonce": nonce, "email_verified": True, **self.claims}
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token(**claims)})

    def _is_proved(self, request: web.Request, form: Mapping[str, str], asked: Mapping[str, str]) -> bool:
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        wanted = urlencode({"": CLIENT_SECRET})[1:]
        basic = base64.b64encode(f"{CLIENT_ID}:{wanted}".encode()).decode()
        return (
            challenge == asked["code_challenge"]
            and form["redirect_uri"] == asked["redirect_uri"]
            and request.headers.get("Authorization") == f"Basic {basic}"
        )


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A running provider."""
    state = Provider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", state.discovery)
    app.router.add_get("/keys", state.keys)
    app.router.add_get("/authorize", state.authorize)
    app.router.add_post("/token", state.token)
    async with serving_app(app) as state.url:
        yield state
