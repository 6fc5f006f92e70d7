"""The part of the queue system that the operator needs, through the same transports as all programs."""

import contextlib

from asya_crds.naming import queue_name
from asya_operator.domain.errors import Unreachable
from asya_transports import port
from asya_transports.port import Queue, Transport


class TransportQueues:
    """Implements domain/ports.Queues. `transport` is None if queues need no declaration (the postgres transport, whose
    database the operator need not reach)."""

    def __init__(self, transport: Transport | None, namespace: str) -> None:
        self._transport, self._namespace = transport, namespace
        self._addresses: dict[str, str] = {}

    async def declare(self, actor: str, *, foreign: bool) -> None:
        if self._transport is None:
            return
        try:
            await self._transport.declare(Queue(actor, foreign=foreign))
            self._addresses[actor] = await self._transport.address(actor)
        except port.TransportError as error:
            raise Unreachable(str(error)) from error

    async def delete(self, actor: str) -> None:
        self._addresses.pop(actor, None)
        if self._transport is None:
            return
        try:
            await self._transport.delete(actor)
        except port.TransportError as error:
            raise Unreachable(str(error)) from error

    def identifier(self, actor: str) -> str:
        return queue_name(self._namespace, actor)

    def address(self, actor: str) -> str:
        return self._addresses.get(actor) or self.identifier(actor)

    async def close(self) -> None:
        """Close the transport."""
        if self._transport is not None:
            with contextlib.suppress(port.TransportError):
                await self._transport.close()
