"""Raw A2A over HTTP, and the protocol's own schemas."""

import functools
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
from yarl import URL

from asya_crds import jsontext
from tests.support.gateway import Gateway, Reader

SCHEMAS = Path(__file__).parent.parent / "protocol" / "a2a" / "schemas"
NAMES = {version: f"a2a-{version}.schema.json" for version in ("1.0", "0.3", "0.1")}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SKILLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Says it again.", "entrypoint": "first", "a2a": {"tags": ["test"]}},
    {"name": "numbers", "entrypoint": "first", "mcp": {"inputSchema": NUMBER}, "a2a": {}},
    {"name": "texts", "entrypoint": "first", "a2a": {"inputModes": ["text/plain"]}},
    {"name": "tool", "entrypoint": "first", "mcp": {}},
]


def text_message(text: str, **more: Any) -> dict[str, Any]:
    """A message of 1.0 with one part of text."""
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}


def data_message(data: Any, **more: Any) -> dict[str, Any]:
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"data": data}], **more}


def envelope(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}


async def rpc(
    gateway: Gateway,
    method: str,
    params: Any = None,
    *,
    path: str = "/a2a/",
    version: str | None = "1.0",
    **headers: str,
) -> Any:
    """The whole response of a request."""
    status, answer = await post(gateway, envelope(method, params), path=path, version=version, **headers)
    assert status == 200, answer
    return answer


async def post(
    gateway: Gateway, body: Any, *, path: str = "/a2a/", version: str | None = "1.0", **headers: str
) -> tuple[int, Any]:
    async with open_post(gateway, body, path=path, version=version, **headers) as response:
        text = await response.text()
        return response.status, jsontext.loads(text) if response.content_type == "application/json" else text


@asynccontextmanager
async def open_post(
    gateway: Gateway, body: Any, *, path: str = "/a2a/", version: str | None = "1.0", **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    data = io.BytesIO(body if isinstance(body, bytes) else jsontext.dumps(body).encode())
    all_headers = {"Content-Type": "application/json", **({"A2A-Version": version} if version else {}), **headers}
    async with gateway.session.post(gateway.url + path, data=data, headers=all_headers) as response:
        yield response


@asynccontextmanager
async def streaming(gateway: Gateway, method: str, params: Any, **options: Any) -> AsyncIterator[Reader]:
    """A stream, which must be one."""
    async with open_post(gateway, envelope(method, params), **options) as response:
        assert response.content_type == "text/event-stream", await response.text()
        yield Reader(response)


@functools.cache
def _schema(version: str, name: str) -> Any:
    text = (SCHEMAS / NAMES[version]).read_text()
    # The schema of 1.0 refers to files by the names of the proto's messages, and contains them by their titles.
    document = json.loads(
        re.sub(r'"\$ref": "[a-z0-9.]*\.(\w+)\.jsonschema\.json"', r'"$ref": "#/definitions/\1"', text)
    )
    found = document.get("definitions") or document["$defs"]
    definitions = {title.replace(" ", ""): each for title, each in found.items()}
    # The oldest schema names its definitions as later drafts of JSON Schema do.
    return jsonschema_rs.validator_for(
        {"definitions": definitions, "$defs": definitions, "$ref": f"#/definitions/{name}"}
    )


def conforms(value: Mapping[str, Any], name: str, version: str = "1.0") -> None:
    """Check a value against a definition of the protocol's schema."""
    errors = [f"{list(error.instance_path)}: {error.message}" for error in _schema(version, name).iter_errors(value)]
    assert errors == []


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the HTTP+JSON binding."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The reason of an error, which must have the form of AIP-193."""
        error = self.body["error"]
        assert set(error) == {"code", "status", "message", "details"}
        assert error["code"] == self.status
        info, *_ = error["details"]
        assert (info["@type"], info["domain"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "a2a-protocol.org")
        reason: str = info["reason"]
        return reason

    @property
    def fields(self) -> list[str]:
        """The members that an error names."""
        return [each["field"] for detail in self.body["error"]["details"] for each in detail.get("fieldViolations", [])]


async def rest(
    gateway: Gateway, method: str, path: str, body: Any = None, *, version: str | None = "1.0", **headers: str
) -> Answer:
    """One request under /a2a. `body` is sent as JSON, bytes as they are."""
    sent = body if isinstance(body, bytes) or body is None else jsontext.dumps(body).encode()
    options: dict[str, Any] = {} if sent is None else {"data": io.BytesIO(sent)}
    typed = {} if sent is None else {"Content-Type": "application/a2a+json"}
    all_headers = {**typed, **({"A2A-Version": version} if version else {}), **headers}
    url = URL(gateway.url + "/a2a" + path, encoded=True)
    async with gateway.session.request(method, url, headers=all_headers, **options) as response:
        return Answer(response.status, jsontext.loads(await response.text()), dict(response.headers))


@asynccontextmanager
async def rest_stream(
    gateway: Gateway, method: str, path: str, body: Any = None, **headers: str
) -> AsyncIterator[Reader]:
    """A stream of the HTTP+JSON binding, which must be one."""
    options: dict[str, Any] = {} if body is None else {"data": io.BytesIO(jsontext.dumps(body).encode())}
    all_headers = {"Content-Type": "application/json", "A2A-Version": "1.0", **headers}
    url = URL(gateway.url + "/a2a" + path, encoded=True)
    async with gateway.session.request(method, url, headers=all_headers, **options) as response:
        assert response.content_type == "text/event-stream", await response.text()
        yield Reader(response)
