"""subscriptions/listen (2026-07-28, patterns/subscriptions): a stream with a notification whenever something changes
that its caller asked for. What can be asked for are the topics."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import has_expired
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.wait_limit import TICK
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.list_changes import list_changes
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import SUBSCRIPTION_KEY
from asya_gateway.protocols.mcp.resource_updates import resource_updates
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tasks.changes import task_changes
from asya_gateway.protocols.mcp.topics import Notice, Topic, TopicFactory

TOPICS: tuple[TopicFactory, ...] = (list_changes, resource_updates, task_changes)


async def listen(context: RequestContext) -> "Listening":
    """Raises InvalidParams, MissingCapability, and Unavailable when this pod closes its port, so that the client
    connects to another pod."""
    if context.closing():
        raise Unavailable("the gateway is restarting, listen again")
    wanted = context.params.get("notifications")
    if not isinstance(wanted, Mapping):
        raise InvalidParams("notifications: expected an object")
    topics = [await factory(context, wanted) for factory in TOPICS]
    return Listening(context, [topic for topic in topics if topic is not None])


class Listening:
    """An open subscription. Implements Held. It notices the end of its pod, and of its caller's credential, itself, and
    ends with its result instead of a broken stream ("Graceful Closure")."""

    survives_drain = True
    needs_stream = True

    def __init__(self, context: RequestContext, topics: Sequence[Topic]) -> None:
        self._context = context
        self._topics = topics
        self._caller = context.caller
        self._meta = {SUBSCRIPTION_KEY: context.id}

    async def run(self, channel: ClientConnection) -> Result:
        """Acknowledge first ("MUST be the first message"), then notify until the pod closes its port."""
        woken, rights = asyncio.Event(), asyncio.Event()

        def rights_changed() -> None:
            rights.set()
            woken.set()

        async with AsyncExitStack() as watching:
            watching.callback(self._context.rights_changed(rights_changed))
            for topic in self._topics:
                await watching.enter_async_context(topic.watching(woken.set))
            await channel.notify(
                self._message(Notice("subscriptions/acknowledged", {"notifications": self._honoured()}))
            )
            while not self._context.closing() and not self._expired():
                if rights.is_set() and not await self._renewed(rights):
                    break
                if not await self._tell(channel) and not await _within(woken, TICK):
                    await channel.quiet()
                woken.clear()
        return Result({"_meta": self._meta})

    async def _tell(self, channel: ClientConnection) -> bool:
        """Send what is due; whether there was something."""
        told = False
        for topic in self._topics:
            with self._context.budget.scope():
                for notice in await topic.due():
                    told = True
                    await channel.notify(self._message(notice))
        return told

    async def _renewed(self, rights: asyncio.Event) -> bool:
        """Take over what the caller may do now. False if its credential is no longer good."""
        rights.clear()
        try:
            self._caller = await self._context.caller_again()
        except Unauthenticated:
            return False
        except Unavailable:
            # What was known goes on, and is asked for again at the next turn.
            rights.set()
            return True
        for topic in self._topics:
            topic.renewed(self._caller)
        return True

    def _expired(self) -> bool:
        return has_expired(self._caller, self._context.tasks.clock())

    def abandon(self) -> None:
        """Nothing to clean up."""

    def _honoured(self) -> dict[str, Any]:
        return {key: value for topic in self._topics for key, value in topic.acknowledged().items()}

    def _message(self, notice: Notice) -> JsonText:
        params = {**notice.params, "_meta": {**notice.params.get("_meta", {}), **self._meta}}
        return notice._replace(params=params).text()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
