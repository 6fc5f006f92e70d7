"""Carries out an operation, and sends its result or its events in the form of a binding."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import Protocol

from aiohttp import web

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.card_routes import EXTENDED_HEADERS
from asya_gateway.protocols.a2a.dialects.known import Dialect, Operation
from asya_gateway.protocols.a2a.errors import UNSUPPORTED_OPERATION, A2aError
from asya_gateway.protocols.a2a.operations import HANDLERS, HOLDING, STREAMED, Params
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.streaming import Numbered
from asya_gateway.protocols.a2a.writing import json_text
from asya_gateway.protocols.http.keys import BUDGET, HELD, STREAMS
from asya_gateway.protocols.http.sse import EventStream, event_bytes


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
        events = await STREAMED[operation](request, params, last_event(http))
        http.app[BUDGET].release()
        async with aclosing(events):
            try:
                first = await anext(events)
            except StopAsyncIteration:
                # A reader who has seen everything: the stream is open, and ends.
                first = "", None
            async with http.app[STREAMS].open(http, headers=form.headers) as stream:
                await _write(stream, request.dialect, form, first)
                # What was read for the task is sent, and an open stream does not keep it.
                del first
                http.app[BUDGET].release()
                await _write_rest(stream, request.dialect, form, events)
        return stream.response


async def _write_rest(stream: EventStream, dialect: Dialect, form: Form, events: AsyncGenerator[Numbered]) -> None:
    async for numbered in events:
        await _write(stream, dialect, form, numbered)


async def _write(stream: EventStream, dialect: Dialect, form: Form, numbered: Numbered) -> None:
    id, event = numbered
    if event is None:
        await stream.keep_alive()
        return
    document = dialect.event(event)
    if document is not None:
        await stream.write(event_bytes(form.item(json_text(document)), id=id or None))


def last_event(http: web.BaseRequest) -> int | None:
    """The log entry of the Last-Event-ID; None without one, or if it is none of ours. Only after both events of an end
    has a reader seen it."""
    text = http.headers.get("Last-Event-ID", "")
    seq, _, part = text.partition(".")
    if not (seq.isascii() and seq.isdigit()) or len(seq) > 18 or part not in ("", "1", "2"):
        return None
    return int(seq) - (1 if part == "1" else 0)
