"""Reading request bodies: bounded in size and time, decoded into JSON without loss."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from asya_crds import jsontext, large_json
from asya_crds.offloading import Offload, OffloadFailed
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import InvalidInput, Overloaded, TooLarge
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.arriving import BODY_SECONDS, Arriving, seconds_for
from asya_gateway.protocols.http.errors import BodyTimeout
from asya_gateway.protocols.http.expecting import ask_for_body
from asya_gateway.protocols.http.keys import OFFLOAD

WEIGHT = 7
"""Weight of a body per byte: the bytes, their decoded form, payload and envelope as text, and the driver's copies of
both. An estimate; the memory test checks all weights against a container's limit."""
VALUE_WEIGHT = 100
"""Weight of a decoded value, in this process or in the one that decodes documents of many values."""


async def read_object(
    request: web.Request,
    limit: int,
    encoded: Sequence[str] = (),
    *,
    cuts: Sequence[str] = (),
    share: Share = Share.CALLS,
) -> dict[str, Any]:
    """The body as a JSON object. Members named by `encoded` may be large_json.Encoded; in a large body, members named
    by `cuts` are cut.

    Raises InvalidInput, TooLarge, BodyTimeout, Overloaded.
    """
    data = await read_bytes(request, limit, share=share)
    if large_json.has_few_values(data):
        return as_object(decode(data, texts=encoded))
    return as_object(await decode_body(request, data, encoded=encoded, cuts=cuts, share=share))


async def read_json(request: web.Request, limit: int, then: Callable[[Any], Any] | None = None) -> Any:
    """The body as any JSON value, whatever its Content-Type, or the result of `then` (large_json.loads). Raises what
    read_object raises."""
    return await decode_body(request, await read_bytes(request, limit), then=then)


async def read_bytes(
    request: web.Request, limit: int, *, share: Share = Share.CALLS, head: bytearray | None = None
) -> bytes:
    """The body, decompressed, of at most `limit` bytes. It stays unread in its socket until there is room for it.
    `head` gets its beginning, even if the rest never arrives, and everything that was read of a body that is too large.

    Raises InvalidInput, TooLarge, BodyTimeout, and NoRoom if it is not a report and the wait is too long.
    """
    length, content, budget = request.content_length, request.content, Budget.around()
    seconds = BODY_SECONDS
    if length is not None and length > limit:
        raise _too_large(limit)
    try:
        if not content.at_eof() and not content.is_eof():
            # A body that is still arriving has its announced size, or else the largest allowed size.
            known = length if "Content-Encoding" not in request.headers else None
            declared = limit if known is None else known
            await budget.reserve(share, WEIGHT * declared)
            await ask_for_body(request)
            async with asyncio.timeout(seconds := seconds_for(share, known)) as clock:
                data = await Arriving(request, share, declared, WEIGHT, clock).all(limit, head)
            if len(data) != known:
                budget.shrink(WEIGHT * len(data))
        else:
            data = content.read_nowait()
            # Most bodies find room at once and need no coroutine.
            if not budget.reserve_now(share, WEIGHT * len(data)):
                await budget.reserve(share, WEIGHT * len(data))
    except TimeoutError:
        raise BodyTimeout(f"the body took longer than {seconds:.0f} seconds to arrive") from None
    except web.RequestPayloadError as error:
        raise InvalidInput(f"the body cannot be decoded: {error}") from None
    if len(data) > limit:
        if head is not None:
            head[:] = data
        raise _too_large(limit)
    return data


async def decode_body(
    request: web.Request,
    body: bytes,
    *,
    max_depth: int = jsontext.MAX_DEPTH,
    max_values: int = large_json.MAX_VALUES,
    encoded: Sequence[str] = (),
    texts: Sequence[str] = (),
    cuts: Sequence[str] = (),
    share: Share = Share.CALLS,
    then: Callable[[Any], Any] | None = None,
    most_bytes: int | None = None,
) -> Any:
    """One JSON document, decoded without blocking the event loop. A report waits for its turn and is retried, because
    it is sent only once. Members named by `encoded` may be large_json.Encoded if it is decoded in the other process,
    those named by `texts` if it is decoded here. A body of more than `most_bytes` is decoded in the other process,
    however few values it has. Raises InvalidInput, TooLarge, Overloaded."""
    elsewhere = most_bytes is not None and len(body) > most_bytes
    few = large_json.has_few_values(body)
    if few and not elsewhere:
        value = decode(body, max_depth=max_depth, texts=texts)
        return value if then is None else then(value)
    Budget.around().add(share, VALUE_WEIGHT * min(max_values, large_json.FEW_VALUES if few else len(body)))
    try:
        return await large_json.loads(
            body,
            request.app[OFFLOAD],
            max_depth=max_depth,
            max_values=max_values,
            encoded=encoded,
            cuts=cuts,
            insist=share is Share.REPORTS,
            then=then,
            elsewhere=elsewhere,
        )
    except jsontext.InvalidJSON as error:
        raise InvalidInput(str(error)) from None
    except large_json.TooManyValues as error:
        raise TooLarge(str(error)) from None
    except OffloadFailed as error:
        raise Overloaded(f"a large body cannot be decoded at the moment: {error}") from None


def decode(body: bytes, *, max_depth: int = jsontext.MAX_DEPTH, texts: Sequence[str] = ()) -> Any:
    """One JSON document of few values. Raises InvalidInput."""
    if not body:
        raise InvalidInput("expected a JSON body, got an empty one")
    try:
        return large_json.with_texts(body, texts, max_depth=max_depth)
    except jsontext.InvalidJSON as error:
        raise InvalidInput(str(error)) from None


async def encode(value: Any, offload: Offload) -> JsonText:
    """JSON text of a decoded value, made without blocking the event loop. Raises Overloaded."""
    try:
        return await large_json.dumps(value, offload)
    except OffloadFailed as error:
        raise Overloaded(f"a large body cannot be encoded at the moment: {error}") from None


def as_object(value: Any) -> dict[str, Any]:
    """`value`, which must be a JSON object. Raises InvalidInput."""
    if not isinstance(value, dict):
        raise InvalidInput("expected a JSON object")
    return value


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"expected a body of at most {limit} bytes")
