"""Carries out an operation, and sends its result or its events in the form of a binding."""

from collections.abc import Iterator
from contextlib import aclosing, nullcontext
from typing import Protocol

from aiohttp import web

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.card_routes import EXTENDED_HEADERS
from asya_gateway.protocols.a2a.dialects.known import Dialect, Operation
from asya_gateway.protocols.a2a.errors import UNSUPPORTED_OPERATION, A2aError
from asya_gateway.protocols.a2a.operations import HANDLERS, HOLDING, STREAMED, Params
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.streaming import Group
from asya_gateway.protocols.a2a.writing import json_text, one_line
from asya_gateway.protocols.http.keys import BUDGET, HELD, STREAMS
from asya_gateway.protocols.http.sse import OPENING, EventStream, event_bytes
from asya_gateway.protocols.http.streaming import CHUNK_BYTES


class Form(Protocol):
    """What a binding puts around results."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer, also of a stream."""

    def answer(self, result: JsonText) -> web.Response:
        """The response with the result of an operation."""

    def item(self, event: JsonText) -> JsonText:
        """An event as the data of a stream's item."""


async def perform(request: A2aRequest, operation: Operation, params: Params, form: Form) -> web.StreamResponse:
    """Raises A2aError and the domain's errors before anything is sent."""
    http = request.http
    if operation in STREAMED:
        return await _stream(request, operation, params, form)
    with http.app[HELD].slot(http) if operation in HOLDING else nullcontext():
        result = await HANDLERS[operation](request, params)
    response = form.answer(json_text(result))
    if operation is Operation.EXTENDED_CARD:
        response.headers.update(EXTENDED_HEADERS)
    return response


async def _stream(request: A2aRequest, operation: Operation, params: Params, form: Form) -> web.StreamResponse:
    """The first event is there before the stream is opened, so that errors before it are plain answers."""
    if not request.settings.a2a_streaming:
        raise A2aError(UNSUPPORTED_OPERATION, "Streaming is not supported")
    http = request.http
    with http.app[HELD].slot(http):
        groups, dialect = await STREAMED[operation](request, params, last_event(http))
        params.clear()
        async with aclosing(groups):
            try:
                first = await anext(groups)
            except StopAsyncIteration:
                # A reader who has seen everything: the stream is open, and ends.
                first = ()
            opening = OPENING + b"".join(_chunks(dialect, form, first))
            first = ()
            async with http.app[STREAMS].open(http, headers=form.headers, opening=opening) as stream:
                # What was read for the task is sent, and an open stream does not keep it.
                opening = b""
                http.app[BUDGET].release()
                async for group in groups:
                    await _write(stream, dialect, form, group)
                    group = ()
                    http.app[BUDGET].release()
        return stream.response


async def _write(stream: EventStream, dialect: Dialect, form: Form, group: Group) -> None:
    """Write events that are there together as one chunk, or several if they are long."""
    if not group:
        await stream.keep_alive()
    for chunk in _chunks(dialect, form, group):
        await stream.write(chunk)


def _chunks(dialect: Dialect, form: Form, group: Group) -> Iterator[bytes]:
    chunk = b""
    for id, event in group:
        document = None if event is None else dialect.event(event)
        if document is None:
            continue
        chunk += event_bytes(form.item(one_line(json_text(document))), id=id or None)
        if len(chunk) >= CHUNK_BYTES:
            yield chunk
            chunk = b""
    if chunk:
        yield chunk


def last_event(http: web.BaseRequest) -> int | None:
    """The log entry of the Last-Event-ID; None without one, or if it is none of ours. Only after both events of an end
    has a reader seen it."""
    text = http.headers.get("Last-Event-ID", "")
    seq, _, part = text.partition(".")
    if not (seq.isascii() and seq.isdigit()) or len(seq) > 18 or part not in ("", "1", "2"):
        return None
    return int(seq) - (1 if part == "1" else 0)
