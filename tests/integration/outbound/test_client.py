"""The guarded client over real sockets."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult

from asya_gateway.outbound import resolving
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient, operators_url
from asya_gateway.outbound.errors import AnswerRefused, NameNotReached, NoAnswer, OutboundError, TargetRefused
from asya_gateway.outbound.permitting import Allowed
from asya_gateway.outbound.resolving import Resolver
from servers.certificates import Authority
from tests.support.names import Names
from tests.support.waiting import until
from tests.support.web import http, web

LOCAL = Allowed.of(["127.0.0.0/8"])
SMALL = ExchangeLimits(seconds=10, bytes=1000)
QUICK = ExchangeLimits(seconds=0.2, bytes=1000)


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    made = OutboundClient(LOCAL)
    yield made
    await made.close()


@pytest.fixture
async def stranger() -> AsyncIterator[OutboundClient]:
    """The client without any setting of an operator."""
    made = OutboundClient()
    yield made
    await made.close()


async def test_an_answer_is_returned_whatever_its_status(client: OutboundClient) -> None:
    async with web(http(b"[1]", "404 Not Found", "X-Kind: test")) as server:
        answer = await client.get(f"{server.url}/a", limits=SMALL)
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (404, b"[1]", "test")


async def test_a_request_names_the_gateway_and_sends_no_cookie_back(client: OutboundClient) -> None:
    async with web(http(b"", "200 OK", "Set-Cookie: a=b; Path=/")) as server:
        await client.get(server.url)
        await client.get(server.url)
    first, second = (head.lower() for head in server.requests)
    assert b"user-agent: asya-gateway" in first
    assert b"accept-encoding: identity" in first
    assert b"cookie" not in second


async def test_a_body_is_posted(client: OutboundClient) -> None:
    received = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.readexactly(3))
        writer.write(http(b"ok"))

    async with web(talk=talk) as server:
        answer = await client.post(server.url, b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (await received, answer.body) == (b"a=b", b"ok")
    assert b"content-type: application/x-www-form-urlencoded" in server.requests[0].lower()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_a_loopback_address_is_reached(host: str) -> None:
    client = OutboundClient()
    async with web(tls=None) as server:
        with pytest.raises(OutboundError):
            await client.get(f"https://{host}:{server.port}/", limits=SMALL)
    await client.close()
    assert server.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1",
                                     "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:808:808::80ff:fffe"])  # fmt: skip
async def test_a_name_with_a_local_address_is_not_reached(address: str) -> None:
    client = OutboundClient(resolver=Names([address]))
    async with web() as server:
        with pytest.raises(NameNotReached):
            await client.get(f"https://client.example.com:{server.port}/", limits=SMALL)
    await client.close()
    assert server.connections == 0


async def test_a_name_that_changes_its_address_is_judged_by_the_one_that_is_dialled() -> None:
    """DNS rebinding: the first lookup, which a check before the request would do, gives a harmless address."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    client = OutboundClient(Allowed.of(["127.0.0.2/32"]), resolver=names)
    async with web() as server:
        await names.resolve("client.example.com")
        with pytest.raises(NameNotReached):
            await client.get(f"https://client.example.com:{server.port}/", limits=SMALL)
    await client.close()
    assert (server.connections, names.lookups) == (0, ["client.example.com"] * 2)


async def test_of_several_addresses_only_permitted_ones_are_dialled() -> None:
    client = OutboundClient(LOCAL, resolver=Names(["169.254.169.254", "::1", "10.0.0.1", "127.0.0.1"]))
    async with web() as server:
        answer = await client.get(server.url_of("client.example.com"), limits=SMALL)
    await client.close()
    assert (answer.status, server.connections) == (200, 1)


async def test_a_connection_that_an_operators_url_opened_is_not_there_for_callers(stranger: OutboundClient) -> None:
    keep = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    async with web(keep) as server:
        permission = operators_url(server.url, "ASYA_TEST_URL")
        assert (await stranger.get(f"{server.url}/jwks", permission=permission)).status == 200
        with pytest.raises(TargetRefused):
            await stranger.get(f"{server.url}/jwks")
        with pytest.raises(TargetRefused):
            await stranger.get(f"https://127.0.0.1:{server.port}/jwks")
    assert server.connections == 1


async def test_http_to_a_public_address_is_refused_when_only_networks_are_listed() -> None:
    client = OutboundClient(LOCAL, resolver=Names(["8.8.8.8"]))
    with pytest.raises(NameNotReached):
        await client.get("http://client.example.com/", limits=SMALL)
    await client.close()


async def test_redirects_are_not_followed(client: OutboundClient) -> None:
    async with web() as target, web(http(b"", "302 Found", f"Location: {target.url}/metadata")) as server:
        with pytest.raises(AnswerRefused, match="redirect"):
            await client.get(server.url)
    assert target.connections == 0


async def test_a_body_of_10_mib_is_refused_by_its_announced_length(client: OutboundClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
        await reader.read()

    async with web(talk=talk) as server:
        with pytest.raises(AnswerRefused, match="at most 1000 bytes"):
            await client.get(server.url, limits=SMALL)


async def test_a_body_of_unknown_length_is_refused_at_the_limit(client: OutboundClient) -> None:
    sent = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while sent < 10 * 1024 * 1024:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with web(talk=talk) as server:
        with pytest.raises(AnswerRefused, match="at most 1000 bytes"):
            await client.get(server.url, limits=SMALL)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_decompression_bomb_is_refused_at_the_limit(client: OutboundClient, encoding: str) -> None:
    body = bytes(20 * 1024 * 1024) if encoding == "gzip" else bytes(1024 * 1024)
    compressed = gzip.compress(body, 1) if encoding == "gzip" else zlib.compress(body)
    async with web(http(compressed, "200 OK", f"Content-Encoding: {encoding}")) as server:
        with pytest.raises(AnswerRefused, match="at most"):
            await client.get(server.url, limits=ExchangeLimits(bytes=512 * 1024))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_an_answer_that_is_compressed_unasked_is_read(
    client: OutboundClient, encoding: str, pack: object
) -> None:
    assert callable(pack)
    async with web(http(pack(b"{}" * 400), "200 OK", f"Content-Encoding: {encoding}")) as server:
        assert (await client.get(server.url, limits=SMALL)).body == b"{}" * 400


@pytest.mark.parametrize(
    "answer",
    [
        http(b"x", "200 OK", "Content-Encoding: br"),
        http(gzip.compress(gzip.compress(b"x")), "200 OK", "Content-Encoding: gzip, gzip"),
        http(b"not gzip", "200 OK", "Content-Encoding: gzip"),
        http(gzip.compress(b"x" * 100)[:-9], "200 OK", "Content-Encoding: gzip"),
        http(gzip.compress(b"x") + b"more", "200 OK", "Content-Encoding: gzip"),
    ],
    ids=["unknown", "twice", "not compressed", "cut off", "more"],
)
async def test_wrong_encodings_are_refused(client: OutboundClient, answer: bytes) -> None:
    async with web(answer) as server:
        with pytest.raises(AnswerRefused):
            await client.get(server.url, limits=SMALL)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\xff" * 100 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
    ],
)
async def test_what_is_not_http_is_no_answer(client: OutboundClient, answer: bytes) -> None:
    async with web(answer) as server:
        with pytest.raises(NoAnswer):
            await client.get(server.url, limits=SMALL)


async def test_a_server_that_hangs_is_left_at_the_deadline(client: OutboundClient) -> None:
    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with web(talk=talk) as server:
        with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
            await client.get(server.url, limits=QUICK)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
async def test_a_server_that_drips_is_left_at_the_deadline(client: OutboundClient, start: bytes) -> None:
    """Each byte comes in time, so that only a deadline for the whole exchange ends it."""
    done = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not done.is_set():
            writer.write(b"x")
            await writer.drain()
            try:
                await asyncio.wait_for(done.wait(), 0.01)
            except TimeoutError:
                continue

    async with web(talk=talk) as server:
        with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
            await client.get(server.url, limits=QUICK)
        done.set()


async def test_a_port_that_nobody_listens_on_is_no_answer(client: OutboundClient) -> None:
    async with web() as server:
        pass
    with pytest.raises(NoAnswer, match="reached"):
        await client.get(server.url)


async def test_an_unknown_name_is_answered_as_one_that_may_not_be_reached() -> None:
    """Whoever chose the URL must not find out which names the gateway's own network has."""
    said = set()
    for addresses in ([], ["10.0.0.1"]):
        client = OutboundClient(resolver=Names(addresses))
        for ask in (client.check, client.get):
            with pytest.raises(NameNotReached) as refused:
                await ask("https://somebody.example.com/")
            said.add((type(refused.value), refused.value.reason))
        await client.close()
    assert len(said) == 1


async def test_the_names_of_one_party_take_no_thread_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that a name server holds cannot be cancelled, so that its place is taken until it is free."""
    release, looking = threading.Event(), Counter[str]()

    def look_up(host: str, *_: object) -> list[ResolveResult]:
        looking[host.rpartition(".")[2]] += 1
        assert release.wait(10) or host == "quick.bob"
        return [ResolveResult(hostname=host, host="127.0.0.1", port=0, family=socket.AF_INET, proto=6, flags=0)]

    monkeypatch.setattr(resolving, "_look_up", look_up)
    resolver = Resolver(6, per_party=4)
    clients = [OutboundClient(LOCAL, resolver=resolver) for _ in range(2)]

    async def ask(client: OutboundClient, name: str, party: str) -> None:
        with contextlib.suppress(OutboundError):
            await client.post(f"https://{name}.{party}/", b"", limits=QUICK, party=party)

    async def check(name: str, party: str) -> None:
        with contextlib.suppress(OutboundError):
            await clients[0].check(f"https://{name}.{party}/", party=party)

    await asyncio.gather(*(ask(clients[0], f"slow-{number}", "alice") for number in range(20)))
    assert looking == {"alice": 4}
    # They are left by their callers, and held by their name server all the same.
    checking = [asyncio.create_task(check(f"more-{number}", "alice")) for number in range(20)]
    other = asyncio.create_task(ask(clients[1], "slow", "bob"))
    await until(lambda: looking["bob"] == 1, what="the other's lookup")
    assert looking == {"alice": 4, "bob": 1}
    release.set()
    await asyncio.gather(*checking, other)
    for client in clients:
        await client.close()
    await until(lambda: not resolver._turns, what="every place to be given back")


async def test_a_party_whose_lookups_hang_keeps_nobody_from_the_same_host(monkeypatch: pytest.MonkeyPatch) -> None:
    release, looking = threading.Event(), Counter[str]()

    def look_up(host: str, port: int, *_: object) -> list[ResolveResult]:
        looking[host] += 1
        assert host == "shared.example" or release.wait(10)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=6, flags=0)]

    monkeypatch.setattr(resolving, "_look_up", look_up)
    async with web(http(b"", "204 No Content")) as server:
        resolver = Resolver(4, per_party=1)
        client = OutboundClient(LOCAL, resolver=resolver)
        shared = server.url_of("shared.example")
        hangs = asyncio.create_task(client.post("https://slow.example/", b"", party="alice"))
        await until(lambda: looking["slow.example"] == 1)
        behind = asyncio.create_task(client.post(shared, b"", limits=QUICK, party="alice"))
        # Nothing was sent, so the host is not to blame.
        with pytest.raises(NameNotReached):
            await behind
        waiting = asyncio.create_task(client.post(shared, b"", party="alice"))
        for _ in range(2):
            assert (await client.post(shared, b"", party="bob")).status == 204
        assert looking["shared.example"] == 1
        release.set()
        with contextlib.suppress(OutboundError):
            await hangs
        assert (await waiting).status == 204
        await client.close()


async def test_the_environments_proxy_is_not_used(client: OutboundClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async with web() as proxy, web() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await client.get(server.url)).status == 200
    assert (proxy.connections, server.connections) == (0, 1)


async def test_a_proxy_of_the_settings_gets_public_targets_alone() -> None:
    async with web(http(b"", "403 Forbidden")) as proxy, web() as server:
        client = OutboundClient(LOCAL, proxy=proxy.url_of("user:secret@127.0.0.1"))
        with pytest.raises(NoAnswer):
            await client.get("https://client.example.com/x")
        assert (await client.get(server.url)).status == 200, "what is listed is reached directly"
        for local in ("https://localhost/", "https://169.254.169.254/", "https://10.0.0.1/"):
            with pytest.raises(TargetRefused):
                await client.get(local)
        await client.close()
    assert proxy.connections == 1
    assert proxy.requests[0].startswith(b"CONNECT client.example.com:443 ")
    assert b"proxy-authorization: basic" in proxy.requests[0].lower()


class Certified:
    """An authority, a server's context, and what its clients trust."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder, "authority")
        shown = authority.issue("server")
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(shown.certificate, shown.key)
        self.trust = ssl.create_default_context(cafile=str(authority.file))


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return Certified(tmp_path_factory.mktemp("certificates"))


async def test_https_is_verified(certified: Certified, client: OutboundClient) -> None:
    async with web(tls=certified.server) as server:
        with pytest.raises(NoAnswer, match="certificate"):
            await client.get(server.url)
        trusting = OutboundClient(LOCAL, tls=certified.trust)
        assert (await trusting.get(server.url)).status == 200
        await trusting.close()


async def test_the_certificate_must_name_the_host_of_the_url(certified: Certified) -> None:
    client = OutboundClient(LOCAL, tls=certified.trust, resolver=Names(["127.0.0.1"]))
    async with web(tls=certified.server) as server:
        with pytest.raises(NoAnswer, match="certificate"):
            await client.get(server.url_of("client.example.com"))
    await client.close()


async def test_a_server_without_tls_behind_an_https_url_is_no_answer(client: OutboundClient) -> None:
    async with web() as server:
        with pytest.raises(NoAnswer):
            await client.get(f"https://127.0.0.1:{server.port}/", limits=QUICK)
