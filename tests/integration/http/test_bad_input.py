"""Bad input gets a clear 4xx that names the field, and nothing is stored."""

import asyncio
import base64
import functools
import zlib
from typing import Any

import pytest
from yarl import URL

from tests.support.gateway import Gateway, start_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH_BODIES = [
    "/tools/call",
    "/tasks/t/resume",
    "/mesh",
    "/mesh/t/progress",
    "/mesh/t/final",
    "/mesh/t/fly",
    "/tasks",
    "/api/v1/mesh/t/events",
    "/api/v1/mesh/?actor=first",
]


@pytest.fixture
def gateway(standing: Gateway) -> Gateway:
    """None of these tests stores anything, but for those that start their own."""
    return standing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"NaN",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"[" * 200 + b"]" * 200,
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
    ids=["empty", "cut", "utf-16", "NaN", "inner NaN", "infinite", "deep", "byte order mark", "two documents"],
)
async def test_a_body_that_is_not_json_is_400_everywhere(gateway: Gateway, body: bytes) -> None:
    """400 — missing name field or invalid JSON."""
    for path in BOTH_BODIES:
        status, answer = await gateway.post(path, body)
        assert (status, answer["error"]["code"]) == (400, "invalid_input"), path
    assert await gateway.stored() == 0


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", "true"])
async def test_a_body_that_must_be_an_object_is_400(gateway: Gateway, body: str) -> None:
    for path in BOTH_BODIES:
        if path != "/mesh/t/fly":
            assert (await gateway.post(path, body))[0] == 400, path


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "name"),
        ({"name": 1}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": "shout", "arguments": []}, 400, "arguments"),
        ({"name": "shout", "arguments": "text"}, 400, "arguments"),
        ({"name": "shout", "arguments": {}}, 400, "arguments"),
        ({"name": "shout", "arguments": {"text": 1}}, 400, "arguments"),
        ({"name": "unknown", "arguments": {}}, 404, "name"),
        ({"name": "a2a-only", "arguments": {}}, 404, "name"),
        ({"name": "\ud800\0" * 300, "arguments": {}}, 404, "name"),
    ],
)
async def test_a_bad_call_is_refused_by_its_field(gateway: Gateway, body: Any, status: int, field: str) -> None:
    """404 — tool not found in registry."""
    got, answer = await gateway.post("/tools/call", body)
    assert (got, answer["error"]["field"]) == (status, field)
    assert await gateway.stored() == 0


async def test_every_violation_of_the_schema_is_named_by_its_path(gateway: Gateway) -> None:
    _, answer = await gateway.post("/tools/call", {"name": "shout", "arguments": {"text": 1}})
    assert [violation["path"] for violation in answer["error"]["violations"]] == ["/text"]


@pytest.mark.parametrize("bad", ["%00", "a%0Ab", "a" * 256, "%E2%80%AE", "%C2%85"])
async def test_ids_of_absurd_length_or_with_control_characters_are_refused(gateway: Gateway, bad: str) -> None:
    for method, path in [
        ("GET", f"/tasks/{bad}"),
        ("GET", f"/stream/{bad}"),
        ("POST", f"/tasks/{bad}/cancel"),
        ("GET", f"/mesh/{bad}"),
        ("GET", f"/mesh/{bad}/active"),
        ("GET", f"/mesh/{bad}/stream"),
        ("DELETE", f"/api/v1/mesh/{bad}"),
        ("GET", f"/tasks?flow={bad}"),
        ("GET", f"/tasks?parent_id={bad}"),
    ]:
        status, text = await gateway.call(method, path)
        assert status == 400, (method, path, text)
    for path, body in [("progress", {"status": "received"}), ("final", {"status": "succeeded"}), ("fly", {})]:
        status, answer = await gateway.post(f"/mesh/{bad}/{path}", body)
        assert (status, answer["error"]["field"]) == (400, "id")


@pytest.mark.parametrize("field", ["id", "parent_id"])
@pytest.mark.parametrize("bad", [None, 1, "", ".", "..", "a\0b", "\ud800", "x" * 256])
async def test_a_childs_bad_ids_are_refused(gateway: Gateway, field: str, bad: Any) -> None:
    child = {"id": "c", "parent_id": "p", "prev": [], "curr": "a", "next": [], field: bad}
    status, answer = await gateway.post("/mesh", child)
    assert (status, answer["error"]["field"]) == (400, field)
    assert await gateway.stored() == 0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/mesh/t/progress", {"status": "nonsense"}, "status"),
        ("/mesh/t/progress", {"id": "u", "status": "received"}, "id"),
        ("/mesh/t/progress", {"pause_metadata": {"schema": {"type": "nonsense"}}}, "pause_metadata.schema"),
        ("/mesh/t/final", {"status": "running"}, "status"),
        ("/mesh/t/final", {"id": "u", "status": "succeeded"}, "id"),
        ("/mesh/t/final", {"status": "failed", "class": "nonsense"}, "class"),
        ("/mesh/t/final", {"status": "failed", "error": 1}, "error"),
        ("/mesh/t/final", {"status": "succeeded", "metadata": 1}, "metadata"),
        ("/mesh", {"id": "c", "parent_id": "p", "curr": "a", "ends_itself": 1}, "ends_itself"),
        ("/api/v1/mesh/t/events", {"type": "nonsense"}, "type"),
        ("/api/v1/mesh/t/events", {"type": "status"}, "status"),
        ("/api/v1/mesh/t/events", {"type": "status", "status": "received", "data": 1}, "data"),
        ("/api/v1/mesh/", {"payload": 1}, "actor"),
        ("/api/v1/mesh/?actor=Not-An-Actor", {}, "actor"),
        ("/api/v1/mesh/?actor=x-sink", {}, "actor"),
        ("/api/v1/mesh/?actor=first", {"timeout": "soon"}, "timeout"),
        ("/api/v1/mesh/?actor=first", {"headers": []}, "headers"),
    ],
)
async def test_a_bad_report_is_refused_by_its_field(gateway: Gateway, path: str, body: Any, field: str) -> None:
    status, answer = await gateway.post(path, body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert await gateway.stored() == 0


async def test_a_child_of_itself_is_refused(gateway: Gateway) -> None:
    status, answer = await gateway.post("/mesh", {"id": "c", "parent_id": "resume-c", "curr": "a"})
    assert (status, answer["error"]["field"]) == (409, "parent_id")
    assert await gateway.stored() == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=nonsense", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=²", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=" + "e" * 5000, "cursor"),
        ("context_id=", "context_id"),
    ],
)
async def test_bad_filters_are_refused_by_name(gateway: Gateway, query: str, field: str) -> None:
    status, answer = await gateway.get(f"/tasks?{query}", headers={"Accept": "application/json"})
    assert (status, answer["error"]["field"]) == (400, field)


async def test_bodies_over_their_limits_are_413(database_url: str) -> None:
    """A body over the limit is 413 (by default 1 MiB for FLY, 10 MiB for calls; small limits here)."""
    limits = {"max_call_bytes": 4096, "max_report_bytes": 1024, "max_final_bytes": 3072, "max_fly_bytes": 2048}
    async with start_gateway(database_url, **limits) as gateway:
        for path, limit, body in [
            ("/tools/call", 4096, {"name": "anything", "arguments": {"x": "{}"}}),
            ("/mesh/t/progress", 1024, {"status": "received", "message": "{}"}),
            ("/mesh/t/final", 3072, {"status": "succeeded", "result": "{}"}),
            ("/mesh/t/fly", 2048, {"payload": {"token": "{}"}}),
            ("/api/v1/mesh/t/events", 2048, {"type": "fly", "data": {"token": "{}"}}),
        ]:
            text = str(body).replace("'", '"')
            assert (await gateway.post(path, text.replace("{}", "x" * (limit - len(text) + 2))))[0] < 300, path
            status, answer = await gateway.post(path, text.replace("{}", "x" * (limit - len(text) + 3)))
            assert (status, answer["error"]["code"]) == (413, "too_large"), path


async def test_a_body_without_a_length_is_limited_alike(database_url: str) -> None:
    async def trickle() -> Any:
        for _ in range(40):
            yield b'"' + b"x" * 100

    async with (
        start_gateway(database_url, max_fly_bytes=1024) as gateway,
        gateway.session.post(gateway.url + "/mesh/t/fly", data=trickle()) as response,
    ):
        assert response.status == 413


async def test_reports_that_carry_envelopes_may_be_as_large_as_results(database_url: str) -> None:
    async with start_gateway(database_url, max_report_bytes=1024, max_final_bytes=8192) as gateway:
        claim = {"hop": "0", "attempt": 1, "claimant": "w"}
        body = {"status": "processed", "curr": "a", "claim": claim, "frames": [{"payload": "x" * 4000}]}
        assert (await gateway.post("/mesh/t/progress", body))[0] == 200


async def test_a_body_compressed_wrongly_is_400(gateway: Gateway) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with gateway.session.post(gateway.url + "/mesh/t/fly", data=b"not gzip", headers=headers) as response:
        assert response.status == 400


async def test_a_request_that_is_not_http_is_400_and_not_logged_as_an_error(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", b"\x16\x03\x01 nonsense\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        assert (await reader.readline()).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        writer.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_unknown_routes_and_methods_say_so_in_the_right_form(gateway: Gateway) -> None:
    """Plain text body (e.g., Method not allowed, Task not found)."""
    json_form = {"Accept": "application/json"}
    assert await gateway.get("/nowhere") == (404, "Not Found")
    assert await gateway.get("/nowhere", headers=json_form) == (
        404,
        {"error": {"code": "not_found", "message": "Not Found"}},
    )
    async with gateway.session.put(gateway.url + "/tools/call", headers=json_form) as response:
        assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_options_and_head_are_sane(gateway: Gateway) -> None:
    async with gateway.session.options(gateway.url + "/tasks") as response:
        assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    async with gateway.session.head(gateway.url + "/tasks") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with gateway.session.head(gateway.url + "/stream/x") as response:
        assert response.status == 405


async def test_pages_of_other_origins_and_foreign_hosts_are_kept_out(gateway: Gateway) -> None:
    call = {"name": "anything"}
    assert (await gateway.post("/tools/call", call, headers={"Origin": "https://evil.example"}))[0] == 403
    assert (await gateway.post("/tools/call", call, headers={"Host": "evil.example"}))[0] == 421
    assert (await gateway.get("/health", headers={"Host": "evil.example"}))[0] == 200
    assert await gateway.stored() == 0


async def test_a_loopback_page_may_call_and_read_the_answer(database_url: str) -> None:
    """Fetch standard, "CORS protocol": the answer names the origin that may read it."""
    async with start_gateway(database_url) as gateway:
        origin = {"Origin": "http://localhost:6274"}
        async with gateway.session.post(
            gateway.url + "/tools/call", json={"name": "anything"}, headers=origin
        ) as response:
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, origin["Origin"])
        preflight = {
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        async with gateway.session.options(gateway.url + "/tools/call", headers=preflight) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Headers"] == "content-type"
            assert "POST" in response.headers["Access-Control-Allow-Methods"]


async def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(database_url: str) -> None:
    """An infrastructure failure is a 503 with Retry-After, and nothing is half done."""
    async with start_gateway(database_url) as gateway:
        await gateway.running.storage.database.close()
        async with gateway.session.get(gateway.url + "/tasks/x") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        status, answer = await gateway.post("/tools/call", {"name": "anything"})
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert await gateway.get("/health") == (200, "OK")
        assert await gateway.get("/health/ready") == (200, "OK")
        await gateway.running.storage.database.open()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_cursor_from_beyond_the_calendar_is_400(gateway: Gateway, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(f'["{moment}","a"]'.encode()).decode().rstrip("=")
    status, text = await gateway.get(f"/tasks?cursor={cursor}")
    assert (status, text) == (400, "cursor: expected a next_cursor of an earlier answer")


@functools.cache
def bomb() -> bytes:
    """Two megabytes that inflate to two gigabytes."""
    packing = zlib.compressobj(1)
    packed = packing.compress(b"a" * 10_000_000) + packing.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the window is empty, so that the same block may follow itself.
    again = packing.compress(b"a" * 10_000_000) + packing.flush(zlib.Z_FULL_FLUSH)
    return packed + again * 199


@pytest.mark.parametrize("path", ["/tools/call", "/mcp", "/mesh/t/fly", "/no/such/route"])
async def test_a_body_that_inflates_without_end_is_not_inflated_to_its_end(gateway: Gateway, path: str) -> None:
    address = URL(gateway.url)
    async with asyncio.timeout(8):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: deflate\r\n"
        writer.write(f"{head}Content-Length: {len(bomb())}\r\n\r\n".encode() + bomb())
        answer = await reader.read()
        writer.close()
    assert int(answer.split()[1]) in (404, 413)
    assert b"Connection: close" in answer
