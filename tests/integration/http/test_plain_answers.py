"""An answer that is written in one piece says what aiohttp's own would say, and is left to it where that differs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.answers import AT_ONCE, JSON_HEADERS, PlainJson, json_response
from asya_gateway.protocols.mcp.answering import FinalResponse, respond

TEXT = '{"text":"žluť"}'
HOST = "Host: localhost"


async def plain(_request: web.Request) -> web.StreamResponse:
    return json_response(TEXT)


async def bare(_request: web.Request) -> web.StreamResponse:
    return json_response(TEXT, headers={})


async def assembled(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=TEXT.encode(), headers=JSON_HEADERS)


async def large(_request: web.Request) -> web.StreamResponse:
    return json_response('"' + "x" * AT_ONCE + '"')


async def closing(_request: web.Request) -> web.StreamResponse:
    response = json_response(TEXT)
    response.force_close()
    return response


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def allow(request: web.Request, response: web.StreamResponse) -> None:
        if origin := request.headers.get("Origin"):
            response.headers["Access-Control-Allow-Origin"] = origin

    app = web.Application()
    app.on_response_prepare.append(allow)
    for handler in (plain, bare, assembled, large, closing, long):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def heads(port: int, *requests: str) -> list[tuple[str, dict[str, str], bytes]]:
    """Status line, headers and body of each request's answer, all on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    async with asyncio.timeout(10):
        for request in requests:
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            empty = request.startswith("HEAD")
            body = b"" if empty else await reader.readexactly(int(headers["Content-Length"]))
            found.append((head[0], headers, body))
    writer.close()
    await writer.wait_closed()
    return found


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> str:
    return "\r\n".join((f"{method} /{path} HTTP/{version}", HOST, *headers, "", ""))


async def test_it_has_the_status_the_headers_and_the_body_of_an_ordinary_one(port: int) -> None:
    ours, theirs = await heads(port, get("plain"), get("assembled"))
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    assert ours[1].keys() == theirs[1].keys()
    changing = {"Date"}
    assert {k: v for k, v in ours[1].items() if k not in changing} == {
        k: v for k, v in theirs[1].items() if k not in changing
    }
    assert ours[1]["Date"].endswith(" GMT")


async def test_no_headers_are_as_good_as_an_empty_table_of_them(port: int) -> None:
    plainly, barely = await heads(port, get("plain"), get("bare"))
    assert (plainly[0], plainly[1].keys(), plainly[2]) == (barely[0], barely[1].keys(), barely[2])
    assert type(await bare(None)) is PlainJson  # type: ignore[arg-type]


def test_an_answer_of_mcp_is_written_in_one_piece() -> None:
    assert type(respond(FinalResponse(TEXT), AcceptedForms(json=True, stream=True))) is PlainJson


async def test_the_connection_serves_one_request_after_the_other(port: int) -> None:
    answers = await heads(port, *[get("plain")] * 3, get("large"), get("plain"))
    assert [(line, len(body)) for line, _, body in answers] == [
        ("HTTP/1.1 200 OK", size) for size in (*[len(TEXT.encode())] * 3, AT_ONCE + 2, len(TEXT.encode()))
    ]


@pytest.mark.parametrize(
    "request_text",
    [
        get("plain", version="1.0"),
        get("plain", "Connection: close"),
        get("plain", method="HEAD"),
        get("closing"),
    ],
    ids=["HTTP/1.0", "to be closed", "HEAD", "closed by us"],
)
async def test_what_is_special_is_answered_as_aiohttp_answers_it(port: int, request_text: str) -> None:
    """RFC 9112, section 9.6: 'A server that receives a "close" connection option MUST … send a "close" connection
    option in its final response'; RFC 9110, section 9.3.2: HEAD has the headers and no body."""
    [ours] = await heads(port, request_text)
    [theirs] = await heads(port, request_text.replace("/plain", "/assembled"))
    if "/closing" in request_text:
        assert ours[1]["Connection"] == "close"
    else:
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])
        assert ours[1].keys() == theirs[1].keys()
        assert ours[1].get("Connection") == theirs[1].get("Connection")


async def test_pages_of_other_origins_are_left_to_the_hooks_that_allow_them(port: int) -> None:
    [ours] = await heads(port, get("plain", "Origin: http://localhost:3000"))
    assert ours[1]["Access-Control-Allow-Origin"] == "http://localhost:3000"


async def test_a_reader_that_takes_nothing_stops_the_answers_to_what_it_sends(port: int) -> None:
    """Its requests wait in its own socket instead of their answers in this process."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    sending = asyncio.create_task(send_for_ever(writer))
    await asyncio.wait({sending}, timeout=2)
    sending.cancel()
    writer.transport.abort()
    assert 0 < len(ANSWERED) < 2000


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(get("long").encode() * 100)
        await writer.drain()


ANSWERED: list[int] = []


async def long(_request: web.Request) -> web.StreamResponse:
    """Sixty kilobytes: what is written at once, again and again."""
    ANSWERED.append(len(ANSWERED) + 1)
    return json_response('"' + "x" * 60_000 + '"')
