"""Client id metadata documents: what is fetched, how often, and which documents describe a client."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from asya_crds import jsontext
from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.oauth.clients import Client, ClientKind, key_of
from asya_gateway.domain.oauth.errors import InvalidClient
from asya_gateway.domain.oauth.rules import OAuthRules
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.identity.client_documents import (
    AT_ONCE,
    FAILURE_KEPT,
    HOST_PER_MINUTE,
    LONGEST_KEPT,
    MOST_WAITING,
    SHORTEST_KEPT,
    ClientDocuments,
)
from asya_gateway.outbound.client import ExchangeLimits, OutboundResponse
from asya_gateway.outbound.errors import AnswerRefused, NoAnswer, OutboundError, TargetRefused
from tests.support.waiting import until

URL = "https://client.example/metadata.json"
CALLBACK = "https://client.example/callback"


def document(url: str = URL, **members: Any) -> dict[str, Any]:
    found = {"client_id": url, "client_name": "Editor", "redirect_uris": [CALLBACK], **members}
    return {name: value for name, value in found.items() if value is not None}


@dataclass
class FakeWeb:
    """Answers with the document of each URL, unless the test says otherwise."""

    now: float = 0.0
    answer: OutboundResponse | OutboundError | None = None
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    fetched: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def get(self, url: str, *, limits: ExchangeLimits) -> OutboundResponse:
        assert (limits.seconds, limits.bytes) == (5.0, 32 * 1024)
        self.fetched.append(url)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        if self.gate is not None:
            await self.gate.wait()
        self.at_once -= 1
        if isinstance(self.answer, OutboundError):
            raise self.answer
        return self.answer or answered(document(url), 200, "application/json", **self.headers)

    def documents(self, *, per_minute: float = 0, cache: int = CACHE_BYTES, **rules: Any) -> ClientDocuments:
        rules_of = OAuthRules("https://gateway.example", **rules)
        return ClientDocuments(self, rules_of, per_minute=per_minute, monotonic=lambda: self.now, cache=cache)


def answered(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> OutboundResponse:
    data = body if isinstance(body, bytes) else jsontext.dumps(body).encode()
    named = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return OutboundResponse(status, data, CIMultiDictProxy(CIMultiDict(named)))


@pytest.fixture
def fake() -> FakeWeb:
    return FakeWeb()


async def test_a_document_describes_a_client(fake: FakeWeb) -> None:
    """The draft, section 4.1; MCP: "MUST include at least client_id, client_name and redirect_uris"."""
    client = await fake.documents().client(URL)
    assert client == Client(
        key_of(URL),
        ClientKind.METADATA,
        "Editor",
        (CALLBACK,),
        frozenset({"mcp:read", "mcp:invoke"}),
        public_id=URL,
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://client.example",
        "https://client.example/",
        "http://client.example/metadata.json",
        "https://user@client.example/metadata.json",
        "https://client.example/metadata.json#x",
        "https://client.example/a/../metadata.json",
        "https://client.example/./metadata.json",
        "https://client.example/a/%2E%2e/metadata.json",
        "https://client.example/a/..",
        "https://client.example:x/metadata.json",
        "https://[::1/metadata.json",
        "https:///metadata.json",
        "https://client.example/ä",
        "https://client.example/a b",
        "https://client.example\\@evil.example/a",
        "https://client.example/" + "a" * 3000,
    ],
)
async def test_other_urls_are_no_client_and_are_not_fetched(fake: FakeWeb, url: str) -> None:
    """The draft, section 3."""
    with pytest.raises(InvalidClient):
        await fake.documents().client(url)
    assert fake.fetched == []


@pytest.mark.parametrize(
    "answer",
    [
        answered(document("https://client.example/other.json")),
        answered(document(f"{URL}/")),
        answered(document(client_id=None)),
        answered(document(client_id=[URL])),
        answered(document(client_name=None)),
        answered(document(client_name="")),
        answered(document(client_name={"x": 1})),
        answered(document(redirect_uris=None)),
        answered(document(redirect_uris=["http://client.example/callback"])),
        answered(document(redirect_uris=["javascript:alert(1)"])),
        answered(document(client_secret="x")),
        answered(document(client_secret_expires_at=0)),
        answered(document(token_endpoint_auth_method="client_secret_basic")),
        answered(document(token_endpoint_auth_method="private_key_jwt")),
        answered(document(grant_types=["client_credentials"])),
        answered(document(), status=404),
        answered(document(), status=201),
        answered(document(), content_type="text/html"),
        answered(document(), content_type=""),
        answered([document()]),
        answered(b""),
        answered(b"\xff"),
        answered(b"[" * 30_000),
        AnswerRefused("it redirects, and redirects are not followed"),
        AnswerRefused("expected at most 32768 bytes"),
    ],
)
async def test_another_document_describes_no_client(fake: FakeWeb, answer: OutboundResponse | OutboundError) -> None:
    fake.answer = answer
    with pytest.raises(InvalidClient):
        await fake.documents().client(URL)


@pytest.mark.parametrize(
    "error",
    [
        NoAnswer("no complete answer within 5 s"),
        NoAnswer("its host name was not found"),
        TargetRefused("its address may not be reached"),
    ],
)
async def test_nobody_learns_which_names_and_ports_the_gateways_network_has(
    fake: FakeWeb, error: OutboundError, caplog: pytest.LogCaptureFixture
) -> None:
    """And a host that does not answer makes no client invalid: clients throw away what they have after that."""
    fake.answer = error
    caplog.set_level("INFO")
    with pytest.raises(Unavailable) as raised:
        await fake.documents().client(URL)
    assert raised.value.text == "the client metadata document cannot be fetched"
    assert f"{URL}: {error.reason}" in caplog.text


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("max-age=600", 600.0),
        ("public, MAX-AGE=600, must-revalidate", 600.0),
        ("max-age=0", SHORTEST_KEPT),
        ("no-store", SHORTEST_KEPT),
        ("max-age=999999999", LONGEST_KEPT),
        ("max-age=soon", 3600.0),
        ("", 3600.0),
    ],
)
async def test_a_document_is_kept_as_its_host_says_within_a_day(fake: FakeWeb, header: str, kept: float) -> None:
    fake.headers = {"Cache_Control": header}
    documents = fake.documents()
    await documents.client(URL)
    fake.now = kept - 1
    await documents.client(URL)
    assert len(fake.fetched) == 1
    fake.now = kept
    await documents.client(URL)
    assert len(fake.fetched) == 2


async def test_a_failure_is_remembered_for_a_minute(fake: FakeWeb) -> None:
    fake.answer = NoAnswer("it could not be reached")
    documents = fake.documents()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await documents.client(URL)
    assert len(fake.fetched) == 1
    fake.now, fake.answer = FAILURE_KEPT, None
    await documents.client(URL)


async def test_who_asks_for_the_same_document_meanwhile_waits_for_one_fetch(fake: FakeWeb) -> None:
    fake.gate = asyncio.Event()
    documents = fake.documents()
    asking = [asyncio.create_task(documents.client(URL)) for _ in range(3)]
    await until(lambda: bool(fake.fetched))
    asking[0].cancel()
    fake.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] == found[2] == await documents.client(URL)
    assert len(fake.fetched) == 1


async def test_four_are_fetched_at_once_and_only_so_many_wait(fake: FakeWeb) -> None:
    fake.gate = asyncio.Event()
    documents = fake.documents()
    urls = [f"https://client{number}.example/metadata.json" for number in range(AT_ONCE + MOST_WAITING)]
    asking = [asyncio.create_task(documents.client(url)) for url in urls]
    await until(lambda: len(fake.fetched) == AT_ONCE)
    with pytest.raises(Overloaded):
        await documents.client("https://other.example/metadata.json")
    fake.gate.set()
    await asyncio.gather(*asking)
    assert fake.most_at_once == AT_ONCE


async def test_ten_documents_of_a_host_are_fetched_in_a_minute(fake: FakeWeb) -> None:
    documents = fake.documents()
    for number in range(HOST_PER_MINUTE):
        await documents.client(f"https://client.example/{number}")
    with pytest.raises(TooManyRequests):
        await documents.client("https://client.example/more")
    await documents.client("https://client.example/0")
    await documents.client("https://other.example/more")
    fake.now = 6.0
    await documents.client("https://client.example/more")


async def test_one_source_fetches_few_documents_and_uses_up_no_host_for_others(fake: FakeWeb) -> None:
    documents = fake.documents(per_minute=60)
    for number in range(5):
        await documents.client(f"https://client.example/{number}", "192.0.2.1")
    with pytest.raises(TooManyRequests, match="this source"):
        await documents.client("https://client.example/more", "192.0.2.1")
    with pytest.raises(TooManyRequests, match="this source"):
        await documents.client("https://other.example/more", "192.0.2.1")
    await documents.client("https://client.example/0", "192.0.2.1")
    await documents.client("https://client.example/more", "192.0.2.2")
    fake.now = 12.0
    await documents.client("https://other.example/more", "192.0.2.1")


async def test_a_limit_below_the_share_still_lets_a_source_fetch_one(fake: FakeWeb) -> None:
    documents = fake.documents(per_minute=1)
    await documents.client("https://client.example/a", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        await documents.client("https://client.example/b", "192.0.2.1")


@pytest.mark.parametrize(("callback", "at_least", "at_most"), [("c", 20, 40), ("c" * 2_000, 1, 15)])
async def test_documents_are_kept_by_their_size(fake: FakeWeb, callback: str, at_least: int, at_most: int) -> None:
    documents = fake.documents(cache=160 * 1024)
    urls = [f"https://client{number}.example/m" for number in range(50)]
    for url in urls:
        fake.answer = answered(document(url, redirect_uris=[f"https://{n}.example/{callback}" for n in range(4)]))
        await documents.client(url)
    fetched = len(fake.fetched)
    fake.answer = None
    for url in reversed(urls):
        await documents.client(url)
    # The last ones were known still.
    assert at_least <= 50 - (len(fake.fetched) - fetched) <= at_most


async def test_with_a_registration_token_only_documents_of_named_hosts_are_fetched(fake: FakeWeb) -> None:
    """A document would otherwise be a way around the token."""
    documents = fake.documents(registration_token="t", client_hosts=frozenset({"client.example"}))
    await documents.client(URL)
    for other in ("https://other.example/m", "https://client.example.evil.example/m"):
        with pytest.raises(InvalidClient):
            await documents.client(other)
    assert fake.fetched == [URL]


async def test_fetches_under_way_end_with_the_process(fake: FakeWeb) -> None:
    fake.gate = asyncio.Event()
    documents = fake.documents()
    asking = asyncio.create_task(documents.client(URL))
    await until(lambda: bool(fake.fetched))
    await documents.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
