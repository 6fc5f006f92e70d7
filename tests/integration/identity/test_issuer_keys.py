"""An issuer that rotates its keys, lies, hangs or is away, and tokens that are judged meanwhile."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from asya_gateway.domain.clock import own_time
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.identity.jwt.issuer_keys import BETWEEN_FETCHES, STALEST, IssuerKeys
from asya_gateway.identity.jwt.locating import at, of_issuer
from asya_gateway.identity.jwt.verifying import Issuer, IssuersTokens
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient, operators_url
from tests.support.issuers import AUDIENCE, URL, document, fresh_key, key_for, token
from tests.support.waiting import rounds, until
from tests.support.web import Web, http, web

KNOWN = key_for("ES256")
NEW = fresh_key("new")


def good() -> str:
    """A token of the issuer's key. Made when it is needed: it expires, perhaps before its test begins."""
    return token("ES256")


def newer() -> str:
    """A token of a key that the issuer publishes later."""
    return token("ES256", NEW)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """An issuer's server, its keys as the gateway knows them, and the tokens judged with them."""

    def __init__(self, server: Web, keys: IssuerKeys, clock: Clock, changes: list[None]) -> None:
        self.server, self.keys, self.clock, self.changes = server, keys, clock, changes
        self.tokens = IssuersTokens([Issuer("corp", URL, (AUDIENCE,), keys)], roles_decide=False, clock=own_time)

    def publish(self, answer: bytes) -> None:
        self.server.answer = answer

    async def verify(self, text: str) -> str:
        return (await self.tokens.verify(text)).owner

    async def is_refused(self, text: str) -> bool:
        with pytest.raises(Unauthenticated):
            await self.verify(text)
        return True

    async def is_unavailable(self, text: str) -> bool:
        with pytest.raises(Unavailable):
            await self.verify(text)
        return True

    async def knows_its_keys(self) -> None:
        await until(lambda: self.changes, what="the first fetch")


@asynccontextmanager
async def world(
    answer: bytes = http(document(KNOWN)), refresh: float = 600.0, seconds: float = 30.0
) -> AsyncIterator[World]:
    client = OutboundClient()
    clock, changes = Clock(), list[None]()
    async with web(answer) as server:
        keys = IssuerKeys(
            client,
            "corp",
            at(f"{server.url}/jwks"),
            operators_url(server.url, "ASYA_A2A_JWT_JWKS_URL"),
            on_change=lambda: changes.append(None),
            clock=clock,
            refresh=refresh,
            retry=refresh,
            limits=ExchangeLimits(seconds=seconds, bytes=256 * 1024),
        )
        await keys.start()
        try:
            yield World(server, keys, clock, changes)
        finally:
            await keys.stop()
            await client.close()


def silence(server: Web) -> asyncio.Event:
    """From now on the server takes requests and answers when the event is set."""
    told = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await told.wait()
        writer.write(server.answer)
        await writer.drain()

    server.talk = talk
    return told


async def test_a_token_is_judged_by_the_keys_that_its_issuer_publishes() -> None:
    async with world() as issuer:
        assert await issuer.verify(good()) == "jwt:corp:alice"
        assert await issuer.is_refused(token("ES256", fresh_key("p256")))
        assert b"GET /jwks HTTP/1.1" in issuer.server.requests[0]
        assert issuer.server.connections == 1


async def test_the_start_does_not_wait_for_the_issuer_and_tokens_do() -> None:
    async with world() as issuer:
        told = silence(issuer.server)
        judged = [asyncio.create_task(issuer.verify(good())) for _ in range(5)]
        await until(lambda: issuer.server.connections)
        assert not any(each.done() for each in judged)
        told.set()
        assert await asyncio.gather(*judged) == ["jwt:corp:alice"] * 5
        assert issuer.server.connections == 1, "all wait for one fetch"


async def test_a_fetch_goes_on_if_the_one_who_asked_leaves() -> None:
    async with world() as issuer:
        told = silence(issuer.server)
        first, second = (asyncio.create_task(issuer.verify(good())) for _ in range(2))
        await until(lambda: issuer.server.connections)
        first.cancel()
        await rounds()
        told.set()
        assert await second == "jwt:corp:alice"


async def test_a_key_that_is_new_is_fetched_for_the_first_token_that_needs_it() -> None:
    async with world() as issuer:
        await issuer.knows_its_keys()
        issuer.publish(http(document(KNOWN, NEW)))
        issuer.clock.now += BETWEEN_FETCHES
        assert await issuer.verify(newer()) == "jwt:corp:alice"
        assert await issuer.verify(good()) == "jwt:corp:alice"
        assert len(issuer.changes) == 2


async def test_a_new_key_is_fetched_also_in_the_turn_in_which_the_fetch_before_it_ends() -> None:
    async with world() as issuer:
        async with asyncio.timeout(20):
            while not issuer.changes:
                await asyncio.sleep(0)  # sees the change before any callback of the fetch
        issuer.publish(http(document(KNOWN, NEW)))
        issuer.clock.now += BETWEEN_FETCHES
        assert await issuer.verify(newer()) == "jwt:corp:alice"


async def test_a_key_that_is_no_longer_published_is_not_accepted() -> None:
    async with world() as issuer:
        await issuer.verify(good())
        issuer.publish(http(document(NEW)))
        issuer.clock.now += BETWEEN_FETCHES
        await issuer.verify(newer())
        assert await issuer.is_refused(good())


async def test_unknown_kids_cause_one_fetch_in_ten_seconds() -> None:
    async with world() as issuer:
        await issuer.knows_its_keys()
        issuer.clock.now += BETWEEN_FETCHES
        strangers = [token("ES256", fresh_key(f"stranger-{n}")) for n in range(20)]
        refused = await asyncio.gather(*(issuer.is_refused(each) for each in strangers))
        assert len(refused) == 20
        for each in strangers:
            await issuer.is_refused(each)
        assert issuer.server.connections == 2
        issuer.clock.now += BETWEEN_FETCHES
        await issuer.is_refused(strangers[0])
        assert issuer.server.connections == 3


async def test_keys_are_fetched_again_from_time_to_time() -> None:
    async with world(refresh=0.01) as issuer:
        await issuer.knows_its_keys()
        issuer.publish(http(document(NEW)))
        await until(lambda: len(issuer.changes) == 2)
        assert await issuer.verify(newer()) == "jwt:corp:alice"


async def test_the_same_document_changes_nothing() -> None:
    async with world(refresh=0.01) as issuer:
        await until(lambda: issuer.server.connections >= 3)
        assert len(issuer.changes) == 1


def _redirect(server: Web) -> bytes:
    return http(b"", "302 Found", f"Location: {server.url}/other")


BROKEN: dict[str, Callable[[Web], bytes]] = {
    "redirects": _redirect,
    "is 10 MiB": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n{",
    "is garbage": lambda _: http(b"\x00\xff" * 50),
    "is no HTTP": lambda _: b"hello\r\n\r\n",
    "is a page": lambda _: http(b"<html>maintenance</html>"),
    "fails": lambda _: http(document(NEW), "500 Internal Server Error"),
    "is not there": lambda _: http(document(NEW), "404 Not Found"),
    "has no keys": lambda _: http(b'{"keys": []}'),
    "has only odd keys": lambda _: http(document({"kty": "oct", "k": "AA"}, {"kty": "RSA", "n": 7})),
    "nests deeply": lambda _: http(b'{"keys":' * 9000),
    "breaks off": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("how", BROKEN)
async def test_while_the_document_is_broken_the_keys_known_before_are_used(how: str) -> None:
    async with world() as issuer:
        await issuer.verify(good())
        issuer.publish(BROKEN[how](issuer.server))
        issuer.clock.now += BETWEEN_FETCHES
        assert await issuer.is_unavailable(newer()), "nobody can say whether its key is one of the issuer's"
        assert await issuer.verify(good()) == "jwt:corp:alice"
        assert len(issuer.changes) == 1


@pytest.mark.parametrize("how", BROKEN)
async def test_while_no_keys_could_be_fetched_every_token_is_unavailable(how: str) -> None:
    async with world(b"") as issuer:
        issuer.publish(BROKEN[how](issuer.server))
        assert await issuer.is_unavailable(good())
        connections = issuer.server.connections
        assert await issuer.is_unavailable(good()), "at once, since it was tried a moment ago"
        assert issuer.server.connections == connections
        issuer.publish(http(document(KNOWN)))
        issuer.clock.now += BETWEEN_FETCHES
        assert await issuer.verify(good()) == "jwt:corp:alice"


async def test_an_issuer_that_hangs_delays_only_tokens_that_need_it() -> None:
    async with world() as issuer:
        await issuer.verify(good())
        told = silence(issuer.server)
        issuer.publish(http(document(KNOWN, NEW)))
        issuer.clock.now += BETWEEN_FETCHES
        waiting = asyncio.create_task(issuer.verify(newer()))
        await until(lambda: issuer.server.connections == 2)
        assert await issuer.verify(good()) == "jwt:corp:alice"
        assert not waiting.done()
        told.set()
        assert await waiting == "jwt:corp:alice"


async def test_an_issuer_that_never_answers_makes_tokens_unavailable_in_bounded_time() -> None:
    async with world(seconds=0.05) as issuer:
        silence(issuer.server)
        assert await issuer.is_unavailable(good())


async def test_keys_are_used_for_a_day_at_most() -> None:
    async with world() as issuer:
        await issuer.verify(good())
        issuer.publish(http(b"away", "503 Service Unavailable"))
        issuer.clock.now += STALEST
        assert await issuer.verify(good()) == "jwt:corp:alice"
        issuer.clock.now += 1
        assert await issuer.is_unavailable(good())
        issuer.publish(http(document(KNOWN)))
        issuer.clock.now += BETWEEN_FETCHES
        assert await issuer.verify(good()) == "jwt:corp:alice"


async def test_one_odd_key_among_a_hundred_leaves_the_others_in_force() -> None:
    odd: dict[str, object] = {"kty": "EC", "crv": "P-256", "x": "AA", "y": [], "kid": KNOWN.kid}
    async with world(http(document(odd, {"kty": "new"}, KNOWN))) as issuer:
        assert await issuer.verify(good()) == "jwt:corp:alice"


async def test_a_problem_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with world(http(b"away", "503 Service Unavailable"), refresh=0.01) as issuer:
        await until(lambda: issuer.server.connections >= 3)
        issuer.publish(http(document(KNOWN)))
        await issuer.knows_its_keys()
    told = [each.message for each in caplog.records if "keys of" in each.message]
    assert len(told) == 2
    assert f"{issuer.server.url}/jwks: status 503; none are known, so its tokens get 503" in told[0]
    assert "1 in force" in told[1]


def paths(server: Web) -> list[str]:
    return [each.split(b" ")[1].decode() for each in server.requests]


@asynccontextmanager
async def discovering(path: str = "") -> AsyncIterator[tuple[Web, IssuerKeys, dict[str, bytes]]]:
    """Keys that are found by an issuer's metadata; `answers` by path, everything else is 404."""
    client = OutboundClient()
    answers: dict[str, bytes] = {}

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.get(paths(server)[-1], http(b"", "404 Not Found")))
        await writer.drain()

    async with web(talk=talk) as server:
        issuer = f"{server.url}{path}"
        permission = operators_url(issuer, "identity_service")
        yield server, IssuerKeys(client, "corp", of_issuer(client, issuer, permission), permission), answers
    await client.close()


def metadata(issuer: object, keys: object) -> bytes:
    return http(json.dumps({"issuer": issuer, "jwks_uri": keys}).encode())


@pytest.mark.parametrize(
    ("path", "well_known"),
    [
        ("", "/.well-known/openid-configuration"),
        ("/realms/a/", "/realms/a/.well-known/openid-configuration"),
        ("/tenant", "/.well-known/oauth-authorization-server/tenant"),
    ],
)
async def test_keys_are_found_by_the_issuers_metadata(path: str, well_known: str) -> None:
    """The forms of OpenID Connect Discovery 1.0, section 4.1, and of RFC 8414, section 3.1."""
    async with discovering(path) as (server, keys, answers):
        answers[well_known] = metadata(f"{server.url}{path}", f"{server.url}/keys")
        answers["/keys"] = http(document(KNOWN))
        assert (await keys.current()).knows(str(KNOWN.kid))


async def test_an_issuer_without_metadata_is_named_with_its_url(caplog: pytest.LogCaptureFixture) -> None:
    async with discovering() as (server, keys, _):
        with pytest.raises(Unavailable):
            await keys.current()
    assert f"keys of corp: metadata at {server.url}: the issuer has no metadata at" in caplog.text


async def test_metadata_of_another_issuer_is_not_believed() -> None:
    async with discovering() as (server, keys, answers):
        answers["/keys"] = http(document(KNOWN))
        for issuer in ("https://evil.example.com", f"{server.url}/", None, 7):
            answers["/.well-known/openid-configuration"] = metadata(issuer, f"{server.url}/keys")
            with pytest.raises(Unavailable):
                await keys.current()
    assert "/keys" not in paths(server)


async def test_metadata_opens_no_private_target_but_the_issuers_own() -> None:
    async with discovering() as (server, keys, answers), web(http(document(KNOWN))) as other:
        for elsewhere in (other.url, f"https://127.0.0.1:{other.port}/", "https://169.254.169.254/", 7, None):
            answers["/.well-known/openid-configuration"] = metadata(server.url, elsewhere)
            with pytest.raises(Unavailable):
                await keys.current()
    assert other.connections == 0
