"""Issuers of others: their tokens open the gateway, and their login is the gateway's."""

import html
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp.hdrs import LOCATION
from typing_extensions import override
from yarl import URL

from servers.databases import Databases, run_apart
from servers.ports import free_port
from servers.processes import spawn
from tests.conformance.deployment import Deployment
from tests.conformance.tools import Node
from tests.support import issuers
from tests.support.issuers import document, key_for
from tests.support.oauth import CALLBACK, Pkce, asked, query_of
from tests.support.oauth_server import OAuthCaller
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)

AUDIENCE = "https://asya.example.com"
ROLES = {
    "roles": {"staff": {"scopes": ["mcp:read", "mcp:invoke"]}},
    "claims": [{"claim": "groups", "values": ["staff"], "roles": ["staff"]}],
}


@dataclass
class Staff:
    """A deployment whose persons log in at oidc-provider, and that provider's address."""

    deployment: Deployment
    provider: str


class _Keys(BaseHTTPRequestHandler):
    """Serves the keys of the issuers in Python."""

    def do_GET(self) -> None:
        body = document(key_for("RS256"), key_for("ES256"))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def keys_url() -> Iterator[str]:
    # Made before two replicas ask for them in two threads, each of which would make its own.
    assert document(key_for("RS256"), key_for("ES256"))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def staff(
    node: Node, keys_url: str, tmp_path_factory: pytest.TempPathFactory, databases: Databases, template_database: str
) -> Iterator[Staff]:
    folder, port = tmp_path_factory.mktemp("staff"), free_port()
    files = {"GATEWAY_CONFIG": str(folder / "gateway.yaml"), "ROLES_FILE": str(folder / "roles.yaml")}
    jwt = {"A2A_JWT_JWKS_URL": keys_url, "A2A_JWT_ISSUER": issuers.URL, "A2A_JWT_AUDIENCE": issuers.AUDIENCE}
    with databases.one(template_database) as url, (folder / "provider.log").open("wb") as log:
        deployment = Deployment(folder, url, **files, **jwt)
        made = Staff(deployment, f"http://127.0.0.1:{port}")
        configure(folder, made.provider)
        options = {"port": port, "callback": f"{deployment.url}/oauth/callback", "audience": AUDIENCE}
        provider = spawn([*node.script("provider.mjs"), json.dumps(options)], stdout=log, stderr=log)
        try:
            run_apart(lambda: ready(made.provider, folder / "provider.log"))
            run_apart(deployment.start)
            yield made
        finally:
            provider.kill()
            provider.wait()
            deployment.end()
            print(deployment.logs())


def configure(folder: Path, issuer: str) -> None:
    (folder / "client-secret").write_text("secret: +/=")
    service = {
        "type": "oauth2",
        "issuer": issuer,
        "audience": AUDIENCE,
        "alias": "corp",
        "login": True,
        "client_id": "asya-gateway",
        "client_secret_file": str(folder / "client-secret"),
        "scopes": ["openid", "email"],
    }
    (folder / "gateway.yaml").write_text(json.dumps({"identity_service": service}))
    (folder / "roles.yaml").write_text(json.dumps(ROLES))


async def ready(url: str, log: Path) -> None:
    async def answers() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/jwks") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    await until(answers, 60, log.read_text())


class Person:
    """A browser that keeps cookies and fills in forms. Browsers take loopback for a secure origin, so it does too."""

    def __init__(self, gateway: str) -> None:
        jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=[URL(gateway)])
        self.session = aiohttp.ClientSession(cookie_jar=jar)
        self.text = self.url = ""

    async def open(self, url: str, form: dict[str, str] | None = None) -> str:
        """Follow redirects to a page, or to where the client listens; return that URL."""
        while not url.startswith(CALLBACK):
            origin = str(URL(url).origin())
            method, headers = ("GET", {}) if form is None else ("POST", {"Origin": origin})
            async with self.session.request(method, url, data=form, headers=headers, allow_redirects=False) as response:
                self.text, form = await response.text(), None
                if LOCATION not in response.headers:
                    assert response.status == 200, self.text
                    self.url = url
                    return url
                url = urljoin(url, response.headers[LOCATION])
        return url

    async def send(self, **fields: str) -> str:
        """Fill in the page's form."""
        action = re.search(r'action="([^"]+)"', self.text)
        assert action, self.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.text)
        form = {name: html.unescape(value) for name, value in hidden}
        return await self.open(urljoin(self.url, html.unescape(action[1])), {**form, **fields})


@pytest.fixture
async def person(staff: Staff) -> AsyncIterator[Person]:
    made = Person(staff.deployment.url)
    async with made.session:
        yield made


async def statuses(session: aiohttp.ClientSession, staff: Staff, token: str) -> list[int]:
    found = []
    for url in (staff.deployment.url, staff.deployment.other):
        async with session.get(f"{url}/tasks", headers={"Authorization": f"Bearer {token}"}) as answer:
            found.append(answer.status)
    return found


async def test_a_person_logs_in_and_allows_the_client(staff: Staff, person: Person) -> None:
    """Both pages are real ones: the provider's for the login and its own consent, then the gateway's."""
    caller = OAuthCaller(staff.deployment.url, person.session)
    client_id, pkce = await caller.client_id(client_name="Editor"), Pkce()
    query = asked(client_id, pkce, state="s", scope="mcp:read mcp:invoke")
    await person.open(str(URL(f"{caller.url}/oauth/authorize").with_query(query)))
    assert person.url.startswith(f"{staff.provider}/interaction/")
    await person.send(login="alice", password="any")
    assert person.url.startswith(f"{staff.provider}/interaction/")
    await person.send()
    assert person.url.startswith(f"{caller.url}/oauth/callback")
    assert "Editor" in person.text
    assert "alice@corp.example" in person.text
    answer = query_of(await person.send(answer="allow"))
    assert (answer["state"], answer["iss"]) == ("s", caller.url)
    issued = (await caller.redeem(client_id, answer["code"], pkce)).json
    assert issued["scope"] == "mcp:invoke mcp:read"
    assert await statuses(person.session, staff, issued["access_token"]) == [200, 200]
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": issued["refresh_token"]}
    renewed = (await OAuthCaller(staff.deployment.other, person.session).token(**form)).json
    assert await statuses(person.session, staff, renewed["access_token"]) == [200, 200]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_tokens_of_the_issuer_open_both_replicas(staff: Staff, person: Person, algorithm: str) -> None:
    token = await token_for(staff, person.session, algorithm, AUDIENCE)
    assert await statuses(person.session, staff, token) == [200, 200]


async def test_tokens_by_authlib_and_joserfc_open_both_replicas(staff: Staff, person: Person) -> None:
    for token in (issuers.token_by_authlib("mcp:read"), issuers.token("ES256", scope="mcp:read")):
        assert await statuses(person.session, staff, token) == [200, 200]


async def test_tokens_for_another_audience_open_none(staff: Staff, person: Person) -> None:
    token = await token_for(staff, person.session, "RS256", "https://elsewhere.example")
    assert await statuses(person.session, staff, token) == [401, 401]


async def token_for(staff: Staff, session: aiohttp.ClientSession, algorithm: str, audience: str) -> str:
    """What the provider issues to a program."""
    form = {"grant_type": "client_credentials", "resource": audience, "scope": "mcp:read mcp:invoke"}
    headers = {"Authorization": aiohttp.encode_basic_auth(f"program-{algorithm}", "secret")}
    async with session.post(f"{staff.provider}/token", data=form, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
    return str(answer["access_token"])
