"""Requests to a closed gateway that no HTTP client would send: paths, headers and bodies that try to get around the
doors."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import Databases
from tests.support.gateway import Gateway, start_gateway
from tests.support.principals import Tokens, closed

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = "Authorization: Bearer alice"
CLOSE = "Connection: close"
CALL = '{"name":"anything"}'
JSON = "Content-Type: application/json"
SMUGGLED = f"GET /tasks HTTP/1.1\r\nHost: localhost\r\n{GOOD}\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(databases: Databases, template_database: str) -> AsyncIterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch, databases.one(template_database) as url:
        patch.setattr("asya_gateway.protocols.http.bad_credentials.FREE", 1_000_000)
        async with start_gateway(url, doors=closed(Tokens(alice="mcp:read mcp:invoke"))) as made:
            yield made


async def raw(gateway: Gateway, *lines: str, body: str = "") -> list[int]:
    """The statuses of all answers until the gateway closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    try:
        writer.write("\r\n".join([*lines, "", body]).encode("latin-1"))
        async with asyncio.timeout(20):
            answers = await reader.read()
    finally:
        writer.close()
    return [int(line.split()[1]) for line in answers.decode("latin-1").split("\r\n") if line.startswith("HTTP/1.")]


@pytest.mark.parametrize(
    "path",
    [
        "/tasks",
        "/tasks/",
        "/tasks//",
        "//tasks",
        "/t%61sks",
        "/%74asks",
        "/tasks%2f",
        "/tasks;x=1",
        "/TASKS",
        "/./tasks",
        "/health/../tasks",
        "/health/%2e%2e/tasks",
        "/health/..%2ftasks",
        "/oauth/../tasks",
        "/.well-known/../tasks",
        "/tasks%00",
        "/tasks?x=/health",
        "/tasks#/health",
        "/health/flows/",
        "/stream/none/",
        "http://localhost/tasks",
        "http://localhost/health/../tasks",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_spelling_of_a_path_gets_around_its_policy(gateway: Gateway, method: str, path: str) -> None:
    """RFC 3986, section 6: what a proxy takes for another path must not be this one here."""
    assert await raw(gateway, f"{method} {path} HTTP/1.1", "Host: localhost", CLOSE) in ([401], [404], [405])


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "GETT", "get"])
async def test_no_other_method_is_a_route(gateway: Gateway, method: str) -> None:
    assert await raw(gateway, f"{method} /tasks HTTP/1.1", "Host: localhost", GOOD, CLOSE) in ([400], [404], [405])


@pytest.mark.parametrize(
    "headers",
    [
        ["X_API_Key: alice"],
        ["Authorization : Bearer alice"],
        ["Authorization: Bearer", " alice"],
        ["Authorization: Bearer\talice"],
        ["Authorization: Bearer alice\0"],
        ["Authorization: Bearer alice, Bearer bob"],
        ["Authorization: Bearer alice;"],
        ["Authorization: Bearer \xe4"],
        ["Authorization: Basic YWxpY2U6"],
        ["Cookie: Authorization=Bearer alice"],
        ["Proxy-Authorization: Bearer alice"],
        ["X-Forwarded-Authorization: Bearer alice"],
        ["X-Original-URL: /health"],
        ["X-Rewrite-URL: /health"],
        [GOOD, GOOD],
        [GOOD, "aUTHORIZATION: Bearer alice"],
        [GOOD, "Authorization: Bearer nonsense"],
    ],
    ids=lambda headers: "|".join(headers).encode("unicode_escape").decode(),
)
async def test_a_credential_has_one_place_and_one_form(gateway: Gateway, headers: list[str]) -> None:
    assert set(await raw(gateway, "GET /tasks HTTP/1.1", "Host: localhost", *headers, CLOSE)) <= {400, 401}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], f"0\r\n\r\n{SMUGGLED}"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], f"0\r\n\r\n{SMUGGLED}"),
        (["Content-Length: 19", "Content-Length: 5"], CALL + SMUGGLED),
        (["Content-Length: 19, 5"], CALL + SMUGGLED),
        (["Content-Length: +19"], CALL + SMUGGLED),
        (["Content-Length: 0x13"], CALL + SMUGGLED),
        (["Content-Length: -1"], CALL + SMUGGLED),
        (["Content-Length: 99999999999999999999"], CALL),
        (["Transfer-Encoding: xchunked"], f"0\r\n\r\n{SMUGGLED}"),
        (["Transfer-Encoding: chunked, identity"], f"0\r\n\r\n{SMUGGLED}"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], f"0\r\n\r\n{SMUGGLED}"),
        (["Transfer-Encoding: identity"], CALL + SMUGGLED),
        (["Transfer-Encoding:\x0bchunked"], f"0\r\n\r\n{SMUGGLED}"),
    ],
    ids=lambda each: each if isinstance(each, str) and len(each) < 9 else None,
)
async def test_a_request_whose_length_can_be_read_in_two_ways_is_refused_with_what_follows(
    gateway: Gateway, headers: list[str], body: str
) -> None:
    """RFC 9112, section 6.3: it "might indicate an attempt to perform request smuggling or response splitting"."""
    before = await gateway.stored()
    found = await raw(gateway, "POST /tools/call HTTP/1.1", "Host: localhost", JSON, *headers, body=body)
    assert found in ([400], [401]), "and the connection is closed"
    assert await gateway.stored() == before


async def test_a_body_is_asked_for_once_its_sender_is_admitted(gateway: Gateway) -> None:
    """RFC 9110, section 10.1.1: an origin server may send "a final status code" instead of 100."""
    head = ["POST /tools/call HTTP/1.1", "Host: localhost", JSON, "Expect: 100-continue", CLOSE]
    assert await raw(gateway, *head, "Content-Length: 10000000") == [401]
    assert await raw(gateway, *head, "Content-Length: 99999999", GOOD) == [413]
    assert await raw(gateway, *head, f"Content-Length: {len(CALL)}", GOOD, body=CALL) == [200]
    port = int(gateway.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        writer.write("\r\n".join([*head, f"Content-Length: {len(CALL)}", GOOD, "", ""]).encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(CALL.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        ("GET /health/ready HTTP/1.1", "localhost", 200),
        ("GET /openapi.json HTTP/1.1", "evil.example", 421),
        ("GET http://evil.example/openapi.json HTTP/1.1", "localhost", 421),
        ("GET http://localhost/openapi.json HTTP/1.1", "evil.example", 200),
        ("GET /openapi.json HTTP/1.1", "localhost\r\nHost: evil.example", 400),
        ("GET /openapi.json HTTP/1.1", "localhost:80@evil.example", 421),
        ("GET /openapi.json HTTP/1.1", "localhost.evil.example", 421),
        ("GET /openapi.json HTTP/1.1", "127.0.0.1.evil.example", 421),
        ("GET /openapi.json HTTP/1.1", "", 421),
        ("GET //evil.example/openapi.json HTTP/1.1", "localhost", 404),
    ],
)
async def test_the_host_that_counts_is_the_target_s(gateway: Gateway, line: str, host: str, status: int) -> None:
    """RFC 9112, section 3.2.2: "an origin server MUST ignore the received Host header field (if any) and instead use
    the host information of the request-target"."""
    assert await raw(gateway, line, f"Host: {host}", GOOD, CLOSE) == [status]
