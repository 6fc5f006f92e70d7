"""Reading request bodies: bounded in size and time, decoded into JSON without loss."""

import asyncio
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.domain.errors import InvalidInput, TooLarge
from asya_gateway.protocols.http.errors import BodyTimeout

BODY_SECONDS = 60.0
"""Longest that a body may take to arrive; a caller that trickles would hold its connection for ever."""


async def read_object(request: web.BaseRequest, limit: int) -> dict[str, Any]:
    """The body as a JSON object. Raises InvalidInput, TooLarge, BodyTimeout."""
    return as_object(await read_json(request, limit))


async def read_json(request: web.BaseRequest, limit: int) -> Any:
    """The body as any JSON value, whatever its Content-Type says. Raises InvalidInput, TooLarge, BodyTimeout."""
    return decode(await read_bytes(request, limit))


async def read_bytes(request: web.BaseRequest, limit: int) -> bytes:
    """The body, decompressed, of at most `limit` bytes. Raises InvalidInput, TooLarge, BodyTimeout."""
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    content = request.content
    try:
        data = content.read_nowait()
        if not content.at_eof():
            async with asyncio.timeout(BODY_SECONDS):
                data += await _rest(request, limit - len(data))
    except TimeoutError:
        raise BodyTimeout(f"the body took longer than {BODY_SECONDS:.0f} seconds to arrive") from None
    except web.RequestPayloadError as error:
        raise InvalidInput(f"the body cannot be read: {error}") from None
    if len(data) > limit:
        raise _too_large(limit)
    return data


async def _rest(request: web.BaseRequest, room: int) -> bytes:
    parts = []
    while part := await request.content.readany():
        parts.append(part)
        room -= len(part)
        if room < 0:
            break
    return b"".join(parts)


def decode(body: bytes) -> Any:
    """One JSON document. Raises InvalidInput."""
    if not body:
        raise InvalidInput("expected a JSON body, got an empty one")
    try:
        return jsontext.loads(body)
    except jsontext.InvalidJSON as error:
        raise InvalidInput(str(error)) from None


def as_object(value: Any) -> dict[str, Any]:
    """`value`, which must be a JSON object. Raises InvalidInput."""
    if not isinstance(value, dict):
        raise InvalidInput("expected a JSON object")
    return value


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"expected a body of at most {limit} bytes")
