"""subscriptions/listen (2026-07-28, patterns/subscriptions): a stream with a notification whenever the tools have
changed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.flows import FlowTable
from asya_gateway.protocols.http.holding import Channel
from asya_gateway.protocols.http.jsonrpc import notification_text
from asya_gateway.protocols.http.wait_limit import TICK
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import SUBSCRIPTION_KEY
from asya_gateway.protocols.mcp.results import Result


async def listen(context: RequestContext) -> "Listening":
    """Raises InvalidParams, and Unavailable while this pod drains, so that the client connects to another pod."""
    if context.draining():
        raise Unavailable("the gateway is restarting, listen again")
    wanted = context.params.get("notifications")
    if not isinstance(wanted, Mapping):
        raise InvalidParams("notifications: expected an object")
    tools = wanted.get("toolsListChanged", False)
    if not isinstance(tools, bool):
        raise InvalidParams("notifications.toolsListChanged: expected a boolean")
    return Listening(context, tools=tools)


class Listening:
    """An open subscription. Implements Held. It notices a drain itself and ends with its result instead of a broken
    stream ("Graceful Closure")."""

    survives_drain = True
    needs_stream = True

    def __init__(self, context: RequestContext, *, tools: bool) -> None:
        self._context = context
        self._tools = tools
        self._meta = {SUBSCRIPTION_KEY: context.id}

    async def run(self, channel: Channel) -> Result:
        """Acknowledge first ("MUST be the first message"), then notify until the pod drains."""
        changed = asyncio.Event()
        forget = self._watch(changed) if self._tools else _nothing
        try:
            await channel.notify(self._message("subscriptions/acknowledged", {"notifications": self._honoured()}))
            while not self._context.draining():
                if await _within(changed, TICK):
                    changed.clear()
                    await channel.notify(self._message("tools/list_changed", {}))
                else:
                    await channel.quiet()
        finally:
            forget()
        return Result({"_meta": self._meta})

    def abandon(self) -> None:
        """Nothing to clean up."""

    def _honoured(self) -> dict[str, bool]:
        return {"toolsListChanged": True} if self._tools else {}

    def _message(self, name: str, params: dict[str, Any]) -> str:
        return notification_text(f"notifications/{name}", {**params, "_meta": self._meta})

    def _watch(self, changed: asyncio.Event) -> Callable[[], None]:
        shown = self._context.flows.tool_lists

        def swapped(_: FlowTable) -> None:
            nonlocal shown
            if shown != self._context.flows.tool_lists:
                shown = self._context.flows.tool_lists
                changed.set()

        return self._context.flows.watch(swapped)


def _nothing() -> None:
    """Stands for the unsubscribe function if there is no subscription."""


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
