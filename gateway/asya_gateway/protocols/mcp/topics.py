"""What a subscription may ask for: each kind of notification of subscriptions/listen is a Topic of its own
(2026-07-28, patterns/subscriptions)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.jsonrpc import notification_text, request_text
from asya_gateway.protocols.mcp.request_context import RequestContext


class Notice(NamedTuple):
    """One notification: its method without `notifications/`, and its params without the subscription's id. `verbatim`
    are params that are already JSON text. With `request` it is a request to the client with that id, and `name` the
    whole method; only sessions have such."""

    name: str
    params: dict[str, Any]
    verbatim: Mapping[str, JsonText | None] = MappingProxyType({})
    request: str | None = None

    def text(self) -> JsonText:
        """The message."""
        if self.request is not None:
            return request_text(self.request, self.name, self.params)
        return notification_text(f"notifications/{self.name}", self.params, self.verbatim)


class Topic(Protocol):
    """One kind of notification, as one subscription asked for it. Its streams call it from one task."""

    def acknowledged(self) -> Mapping[str, Any]:
        """Its members of the acknowledgement; empty if nothing of it is honoured."""

    def watching(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """While it is open, `wake` is called whenever `due` may have something to say."""

    async def due(self) -> Sequence[Notice]:
        """What to send now. Called after `wake`, and at least once a second."""

    def renewed(self, caller: Caller) -> None:
        """What the caller may do may have changed; `due` is called afterwards."""


TopicFactory = Callable[[RequestContext, Mapping[str, Any]], Awaitable[Topic | None]]
"""Reads its members of the filter `notifications`; None if the client asked for nothing of it. Raises InvalidParams
for malformed members, MissingCapability."""
