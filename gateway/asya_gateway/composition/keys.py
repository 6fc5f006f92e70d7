"""Assembles the keys that tell callers apart, and what a process knows of revocations."""

import contextlib
from collections.abc import AsyncGenerator

from asya_gateway.domain.identity.keys import KeyRing
from asya_gateway.domain.identity.revocations import Revocations
from asya_gateway.identity.api_keys import ApiKeys
from asya_gateway.identity.key_file import watch_keys
from asya_gateway.settings import Settings
from asya_gateway.storage.identity.keys import PostgresKeys
from asya_gateway.storage.identity.watch import IdentityWatch
from asya_gateway.storage.store import Storage


class Keys:
    """The keys of a process that asks for credentials. `verifier` judges them."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.ring = ring = KeyRing()
        self.revocations = Revocations(ring.lives)
        store = PostgresKeys(storage.database)
        self._watch = IdentityWatch(storage.database, storage.bell, store, ring, self.revocations)
        self.verifier = ApiKeys(ring, self.revocations, storage.clock, used=self._watch.used)
        self._file = None
        if settings.api_keys_file:
            self._file = watch_keys(
                settings.api_keys_file, ring, self.revocations.tell, poll_interval=settings.config_poll_interval
            )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keeps them up to date."""
        async with contextlib.AsyncExitStack() as stack:
            if self._file is not None:
                stack.push_async_callback(self._file.stop)
                await self._file.start()
            stack.push_async_callback(self._watch.stop)
            await self._watch.start()
            yield
