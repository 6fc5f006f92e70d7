"""Batches, which only 2025-03-26 has ("Batching": receiving them MUST be supported)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.idempotency import IDEMPOTENCY_KEY
from asya_gateway.protocols.http.jsonrpc import (
    InvalidRpcMessage,
    Notification,
    Request,
    Response,
    RpcError,
    parse_message,
)
from asya_gateway.protocols.mcp.answering import (
    FinalResponse,
    attended,
    batch_text,
    held_slot,
    hold_in,
    permitted,
    respond,
    settle_or_hold,
)
from asya_gateway.protocols.mcp.errors import MethodNotFound, Unanswerable, shown
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.routing import Headers

LARGEST_BATCH = 50
"""Most messages of a batch. The number is limited because each message may create a task."""


Context = Callable[[Request], RequestContext]
"""The context of one request of a batch. Raises InvalidParams."""
Notice = Callable[[Notification | Response], Awaitable[None]]
"""Takes one message that has no answer. Raises RpcError, which nobody is told of."""


async def answer_batch(
    http: web.Request, batch: list[Any], accepted: AcceptedForms, context: Context, notice: Notice
) -> web.Response:
    """Answer every message separately and concurrently; 202 if none of them needs a response. Raises InvalidRpcMessage
    for an empty or oversized batch, and for a key, which would apply to several calls."""
    check_batch(batch, http.headers)
    settled = await asyncio.gather(*(_answer_one(http, value, context, notice) for value in batch))
    answers = [each for each in settled if each is not None]
    if not answers:
        return web.Response(status=202)
    return respond(FinalResponse(batch_text(answers)), accepted)


def check_batch(batch: Sequence[Any], headers: Headers) -> None:
    """Raises InvalidRpcMessage for an empty or oversized batch, and for a key, which would apply to several calls."""
    if not 1 <= len(batch) <= LARGEST_BATCH:
        raise InvalidRpcMessage(f"expected a batch of 1 to {LARGEST_BATCH} messages")
    if IDEMPOTENCY_KEY in headers:
        raise InvalidRpcMessage(f"{IDEMPOTENCY_KEY}: expected one message with a key, not a batch")


def no_handshake(request: Request) -> InvalidRpcMessage:
    """The refusal of a handshake in a batch (2025-03-26, lifecycle)."""
    return InvalidRpcMessage("initialize must not be part of a batch", request.id)


async def _answer_one(http: web.Request, value: Any, context_of: Context, notice: Notice) -> FinalResponse | None:
    try:
        message = parse_message(value)
    except InvalidRpcMessage as error:
        return FinalResponse.failed(error, error.id, stateless=False)
    if not isinstance(message, Request):
        with suppress(RpcError):
            await notice(message)
        return None
    try:
        if message.method == "initialize":
            raise no_handshake(message)
        method = HANDSHAKE_METHODS.get(message.method)
        if method is None:
            raise MethodNotFound(shown(message.method))
        context = context_of(message)
    except RpcError as error:
        return FinalResponse.failed(error, message.id, stateless=False)
    try:
        with held_slot(http, context):
            outcome = await settle_or_hold(context, permitted(context, method))
            if isinstance(outcome, FinalResponse):
                return outcome
            context.drop_arguments()
            with attended(context):
                return await hold_in(context, outcome)
    except RpcError as error:
        return FinalResponse.failed(error, message.id, stateless=False)
    except GatewayError as error:
        # The other messages of the batch are answered whatever becomes of this one.
        return FinalResponse.failed(Unanswerable(error), message.id, stateless=False)
