"""POST /a2a/, /a2a, /a2a/v1 and /a2a/{flow}: JSON-RPC of every dialect, and the cards."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, InvalidInput
from asya_gateway.protocols.a2a import card_routes
from asya_gateway.protocols.a2a.dialects.known import V0_3, V1_0, Dialect, Operation, named_by, spoken
from asya_gateway.protocols.a2a.envelopes import Envelope, InvalidEnvelope, error_text, read_envelope, result_text
from asya_gateway.protocols.a2a.errors import INTERNAL, PARSE_ERROR, A2aError
from asya_gateway.protocols.a2a.operations import COUNTED, HANDLERS, HOLDING, NEEDS, STREAMED
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.streaming import Numbered
from asya_gateway.protocols.a2a.writing import json_text
from asya_gateway.protocols.http.accept import check_content_type
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import read_json
from asya_gateway.protocols.http.keys import ADMISSION, BUDGET, HELD, LIMITER, SETTINGS, STREAMS
from asya_gateway.protocols.http.policies import Audience, Group, Policy, add_route, check_need
from asya_gateway.protocols.http.sse import EventStream, event_bytes

log = logging.getLogger(__name__)

PATH = "/a2a"
VERSION_HEADER = "A2A-Version"
POLICY = Policy(Audience.CALLERS, group=Group.A2A, resource=PATH)
"""What a message needs beyond an identity, its operation says (operations.py)."""


def register(app: web.Application) -> None:
    """Add the endpoint and the cards."""
    for path in (
        PATH,
        f"{PATH}/",
        f"{PATH}/v1",
        f"{PATH}/v1/",
        f"{PATH}/{{skill:[^/.:]+}}",
        f"{PATH}/{{skill:[^/.:]+}}/",
    ):
        add_route(app, "POST", path, handle, POLICY)
    card_routes.register(app)


async def handle(http: web.Request) -> web.StreamResponse:
    """One request. Errors are answers with status 200, except those that the transport tells."""
    dialect, id = _by_version(http), None
    try:
        envelope = await _read(http)
        id = envelope.id
        if version_of(http) is None:
            dialect = named_by(envelope.method) or dialect
        dialect, operation = spoken(envelope.method, version_of(http))
        request = A2aRequest.of(http, dialect)
        check_need(request.caller, NEEDS[operation], f"method '{envelope.method}'")
        if operation in COUNTED:
            http.app[LIMITER].count(http)
        return await _answer(http, request, envelope, operation)
    except InvalidEnvelope as error:
        return refusal(http, error, error.id, dialect)
    except A2aError as error:
        return refusal(http, error, id, dialect)
    except GatewayError as error:
        http.app[ADMISSION].refused(error)
        return refusal(http, A2aError.of(error), id, dialect)
    except ConnectionError:
        raise
    except Exception:
        log.exception("a2a request failed")
        return refusal(http, A2aError(INTERNAL, "Internal error"), id, dialect)


async def _read(http: web.Request) -> Envelope:
    check_content_type(http)
    try:
        value = await read_json(http, http.app[SETTINGS].max_call_bytes)
    except InvalidInput as error:
        raise A2aError(PARSE_ERROR, f"Parse error: {error.message}") from None
    return read_envelope(value)


def version_of(http: web.BaseRequest) -> str | None:
    """The version that the client says, by header or query."""
    return (http.headers.get(VERSION_HEADER) or http.query.get(VERSION_HEADER) or "").strip() or None


def _by_version(http: web.BaseRequest) -> Dialect:
    """The dialect of an error for a request that cannot be read. Without a version it is 0.3 (section 3.6.2)."""
    return V0_3 if (version_of(http) or "0").startswith("0") else V1_0


async def _answer(
    http: web.Request, request: A2aRequest, envelope: Envelope, operation: Operation
) -> web.StreamResponse:
    if operation in STREAMED:
        return await _stream(http, request, envelope, operation)
    with http.app[HELD].slot(http) if operation in HOLDING else nullcontext():
        result = await HANDLERS[operation](request, envelope.params)
    return json_response(result_text(envelope.id, json_text(result)), headers=_spoken_headers(request.dialect))


async def _stream(
    http: web.Request, request: A2aRequest, envelope: Envelope, operation: Operation
) -> web.StreamResponse:
    """The first event is there before the stream is opened, so that errors before it are plain answers."""
    with http.app[HELD].slot(http):
        events = await STREAMED[operation](request, envelope.params, _last_event(http))
        http.app[BUDGET].release()
        async with aclosing(events):
            first = await anext(events)
            async with http.app[STREAMS].open(http, headers=_spoken_headers(request.dialect)) as stream:
                await _write(stream, request.dialect, envelope, first)
                await _write_rest(stream, request.dialect, envelope, events)
        return stream.response


async def _write_rest(
    stream: EventStream, dialect: Dialect, envelope: Envelope, events: AsyncGenerator[Numbered]
) -> None:
    async for numbered in events:
        await _write(stream, dialect, envelope, numbered)


async def _write(stream: EventStream, dialect: Dialect, envelope: Envelope, numbered: Numbered) -> None:
    id, event = numbered
    if event is None:
        await stream.keep_alive()
        return
    document = dialect.event(event)
    if document is not None:
        text = result_text(envelope.id, json_text(document))
        await stream.write(event_bytes(text, id=id or None))


def _last_event(http: web.BaseRequest) -> int | None:
    """The log entry of the Last-Event-ID; None without one, or if it is none of ours. Only after both events of an end
    has a reader seen it."""
    text = http.headers.get("Last-Event-ID", "")
    seq, _, part = text.partition(".")
    if not (seq.isascii() and seq.isdigit()) or len(seq) > 18 or part not in ("", "1", "2"):
        return None
    return int(seq) - (1 if part == "1" else 0)


def refusal(http: web.Request, error: A2aError, id: str | int | None, dialect: Dialect) -> web.Response:
    """An error as an answer. Its HTTP status is 200, except where the transport itself refuses: no credential, no
    right, too many requests, or a gateway that cannot work now."""
    status, headers = 200, _spoken_headers(dialect)
    if error.cause is not None:
        headers |= http.app[ADMISSION].challenges.headers(error.cause, Group.A2A)
        if error.cause.retry_after is not None:
            headers["Retry-After"] = str(error.cause.retry_after)
        if error.kind.status in (401, 403, 408, 413, 421, 429, 503):
            status = error.kind.status
    return json_response(error_text(id, error, newest=dialect.newest), status=status, headers=headers)


def _spoken_headers(dialect: Dialect) -> dict[str, str]:
    return {VERSION_HEADER: dialect.name}
