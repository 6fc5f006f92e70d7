"""What is refused before any work is done, in each dialect: the transport, the envelope, and what is too large."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from asya_crds import jsontext
from servers.databases import Databases
from tests.support.a2a import SKILLS, envelope, open_post, post, rpc, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import serve_tools

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGEST = 256 * 1024
SENDS = {"1.0": "SendMessage", "0.3": "message/send", "0.1": "tasks/send"}
STREAMS = {"1.0": "SendStreamingMessage", "0.3": "message/stream", "0.1": "tasks/sendSubscribe"}
GETS = {"1.0": "GetTask", "0.3": "tasks/get", "0.1": "tasks/get"}
VERSIONS = list(SENDS)
HEADERS = {"1.0": "1.0", "0.3": "0.3", "0.1": None}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(databases: Databases, template_database: str) -> AsyncIterator[Gateway]:
    with databases.one(template_database) as url:
        async with start_gateway(url, max_call_bytes=LARGEST) as made:
            serve_tools(made, SKILLS)
            yield made


def params_of(version: str, text: Any = "hi", **more: Any) -> dict[str, Any]:
    """The params of a message that is as it should be."""
    if version == "1.0":
        message: dict[str, Any] = {**text_message(text), **more}
        return {"message": message, "tenant": "echo"}
    if version == "0.3":
        part = {"kind": "text", "text": text}
        message = {"kind": "message", "messageId": "m", "role": "user", "parts": [part], **more}
        return {"message": message, "metadata": {"skill": "echo"}}
    message = {"role": "user", "parts": [{"type": "text", "text": text}], **more}
    return {"id": "own", "message": message, "metadata": {"skill": "echo"}}


async def refused(gateway: Gateway, body: Any, version: str, **headers: str) -> tuple[int, Any]:
    """Status and error of a request, which must have stored nothing."""
    status, answer = await post(gateway, body, version=HEADERS[version], **headers)
    assert await gateway.stored() == 0
    return status, answer["error"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x"])
async def test_a_wrong_media_type_is_refused_before_anything_is_parsed(
    served: Gateway, version: str, media_type: str
) -> None:
    """3.3.2, ContentTypeNotSupportedError: 'A Media Type provided in the request's message parts or implied for an
    artifact is not supported by the agent'."""
    status, error = await refused(served, b"{no json", version, **{"Content-Type": media_type})
    assert (status, error["code"]) == (200, -32005)


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_taken_however_it_is_written(served: Gateway, media_type: str) -> None:
    answer = await rpc(served, "GetTask", {"id": "none"}, **{"Content-Type": media_type})
    assert answer["error"]["code"] == -32001


NOT_JSON = {
    "nothing": b"",
    "cut": b'{"jsonrpc": "2.0"',
    "two": b'{"jsonrpc": "2.0"} {}',
    "NaN": b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x", "metadata": {"a": NaN}}}',
    "Infinity": b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x", "n": -Infinity}}',
    "no UTF-8": b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "\xff\xfe"}}',
    "UTF-16": '{"jsonrpc": "2.0"}'.encode("utf-16"),
    "a control character": b'{"jsonrpc": "2.0", "id": 1, "method": "Get\x01Task"}',
    "too deep": b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": ' + b'{"a":' * 600 + b"1" + b"}" * 601,
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_no_json_is_a_parse_error(served: Gateway, version: str, body: bytes) -> None:
    """14.1.1: 'UTF-8 encoding MUST be used for JSON text'."""
    status, answer = await post(served, body, version=HEADERS[version])
    assert (status, answer["error"]["code"], answer["id"]) == (200, -32700, None)


INVALID = {
    "null": (None, None),
    "text": ("hi", None),
    "number": (7, None),
    "empty batch": ([], None),
    "batch of one": ([envelope("GetTask", {"id": "x"})], None),
    "batch of notifications": ([{"jsonrpc": "2.0", "method": "GetTask"}] * 3, None),
    "boolean id": ({**envelope("GetTask"), "id": True}, None),
    "fraction id": ({**envelope("GetTask"), "id": 1.5}, None),
    "object id": ({**envelope("GetTask"), "id": {}}, None),
    "large id": ({**envelope("GetTask"), "id": 2**64}, None),
    "long id": ({**envelope("GetTask"), "id": "x" * 5_000}, None),
    "other version": ({**envelope("GetTask"), "jsonrpc": "1.0"}, 1),
    "no method": ({"jsonrpc": "2.0", "id": "a"}, "a"),
    "empty method": (envelope(""), 1),
    "null method": ({"jsonrpc": "2.0", "id": 3, "method": None}, 3),
    "list of params": (envelope("GetTask", [1]), 1),
    "text as params": (envelope("GetTask", "x"), 1),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("body", "id"), INVALID.values(), ids=INVALID)
async def test_what_is_no_request_is_an_invalid_request(served: Gateway, version: str, body: Any, id: Any) -> None:
    raw = jsontext.dumps(body).encode()
    status, answer = await post(served, raw, version=HEADERS[version])
    assert (status, answer["error"]["code"], answer["id"]) == (200, -32600, id)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("id", [None, 0, -7, "", "a", 2**53 + 1])
async def test_an_id_comes_back_as_it_was(served: Gateway, version: str, id: Any) -> None:
    body = {"jsonrpc": "2.0", "id": id, "method": GETS[version], "params": {"id": "none"}}
    status, answer = await post(served, body, version=HEADERS[version])
    assert (status, answer["error"]["code"]) == (200, -32001)
    assert jsontext.dumps(answer["id"]) == jsontext.dumps(id)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_too_large_is_refused_before_any_work(served: Gateway, version: str) -> None:
    """13.4: 'Agents SHOULD implement appropriate limits on message sizes, file sizes, and request complexity'."""
    for method in (SENDS[version], STREAMS[version]):
        body = envelope(method, params_of(version, "x" * LARGEST))
        status, error = await refused(served, body, version)
        assert (status, error["code"]) == (413, -32600)


UNSTORABLE = {"NUL": "a\0b", "half a surrogate pair": "\ud800"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_a_name_that_cannot_be_stored_is_refused(served: Gateway, version: str, name: str) -> None:
    status, error = await refused(served, envelope(GETS[version], {"id": name}), version)
    assert (status, error["code"]) == (200, -32602)
    if version == "0.1":
        return
    for member in ("messageId", "contextId", "taskId", "referenceTaskIds"):
        named = {member: [name] if member == "referenceTaskIds" else name}
        status, error = await refused(served, envelope(SENDS[version], params_of(version, **named)), version)
        assert (status, error["code"]) == (200, -32602)
        assert f"message.{member}" in jsontext.dumps(error["data"])


@pytest.mark.parametrize("name", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_names_of_the_oldest_dialect_that_cannot_be_stored_are_refused(served: Gateway, name: str) -> None:
    for member in ("id", "sessionId"):
        status, error = await refused(served, envelope("tasks/send", {**params_of("0.1"), member: name}), "0.1")
        assert (status, error["code"], error["data"]["fields"][0]["field"]) == (200, -32602, member)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_stream_that_cannot_begin_is_a_plain_answer(served: Gateway, version: str) -> None:
    for params in ({}, {"id": "t", "message": 7}, params_of(version, 7)):
        async with open_post(served, envelope(STREAMS[version], params), version=HEADERS[version]) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert (await response.json())["error"]["code"] == -32602
