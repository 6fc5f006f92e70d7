"""The registry's operations on a mesh pod: the operator pushes here, and asks which pods serve which generation."""

import asyncio
import time
from contextlib import suppress

from asya_crds.offloading import Offload
from asya_crds.registry_document import RegistryPush
from asya_crds.registry_messages import KeptFlow
from asya_gateway.domain.flows import FlowTable
from asya_gateway.domain.identity.audit import NO_AUDIT, Audit, AuditEvent, AuditRecord
from asya_gateway.domain.identity.principals import Program
from asya_gateway.domain.registry import PushReport, RegistryNotification, RegistryState, RegistryStore
from asya_gateway.registry.row_documents import documents_of
from asya_gateway.registry.tables import TableBuilder
from asya_gateway.telemetry.context import current_source

_NET = 1.0
"""Seconds between two checks of the pods while a request waits, in case a notification is lost."""


class Registrar:
    """Implements RegistryControl on any RegistryStore."""

    def __init__(self, store: RegistryStore, offload: Offload, audit: Audit = NO_AUDIT) -> None:
        self._store, self._offload, self._audit = store, offload, audit
        self._builder = TableBuilder()
        self._building = asyncio.Lock()

    async def announce(self, leader: str) -> int:
        """A new epoch."""
        return await self._store.announce(leader)

    async def push(self, push: RegistryPush) -> PushReport:
        """Store the push, then build the table as every pod will, to report which flows it leaves out."""
        pushed = await self._store.push(push)
        if pushed.changed:
            detail = {"generation": pushed.generation, "epoch": push.epoch}
            self._audit.note(
                AuditRecord(AuditEvent.REGISTRY_PUSHED, Program.OPERATOR.owner, source=current_source(), detail=detail)
            )
        documents = await documents_of(await self._store.read(), self._offload)
        async with self._building:
            table = await asyncio.to_thread(self._builder.build, documents)
        return PushReport(pushed.generation, pushed.changed, len(table.flows), table.problems, _kept(push, table))

    async def heartbeat(self, epoch: int) -> int:
        """Record the operator's heartbeat; returns the generation."""
        return await self._store.heartbeat(epoch)

    async def reload(self) -> None:
        """Have every api pod read its mounted file at once."""
        await self._store.ring(RegistryNotification.RELOAD)

    async def served(self, generation: int | None, wait: float) -> RegistryState:
        """Wait until the generation is served everywhere, at most `wait` seconds; returns the state."""
        until = time.monotonic() + wait
        news = asyncio.Event()
        leave = self._store.listen(lambda _: news.set())
        try:
            while True:
                state = await self._store.state()
                left = until - time.monotonic()
                if left <= 0 or state.served_everywhere(state.generation if generation is None else generation):
                    return state
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _NET)):
                        await news.wait()
                news.clear()
        finally:
            leave()


def _kept(push: RegistryPush, table: FlowTable) -> tuple[KeptFlow, ...]:
    """The served flows of the sources that the push names as unreadable."""
    unreadable = set(push.configmap.unreadable) if push.configmap is not None else set()
    found = table.flows.values() if unreadable else ()
    return tuple(
        KeptFlow.saying(name=each.flow.name, source=each.source) for each in found if each.source in unreadable
    )
