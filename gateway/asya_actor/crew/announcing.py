"""The crew tells mesh that it runs, and whether it has hooks.

While mesh has heard of a crew without hooks, it may write the success of a task with the end of its last hop, without a
message to x-sink: the crew would only report that success. A crew with hooks needs every message, so it says so before
it consumes.
"""

import asyncio
import contextlib
import logging
import random
from uuid import uuid4

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two announcements, if mesh does not say."""
EVERY_MOST = 60.0
"""Also the pause after an answer of a mesh that knows no announcements."""
LONGEST_WAIT = 2.0
"""Seconds for which the start and the end of the crew wait for mesh. A crew that has not been heard for a while is not
bypassed, so nothing is lost without an answer."""


class Announcement:
    """The announcements of one crew to one gateway. `sink`: the actor whose messages it takes."""

    def __init__(self, client: MeshClient, base: str, *, sink: str, hooks: bool) -> None:
        self._client = client
        self._base = base
        self._name = uuid4().hex
        self._body = {"name": self._name, "sink": sink, "hooks": hooks}
        self._running: asyncio.Task[None] | None = None
        self._unknown = False

    async def begin(self) -> None:
        """Announce the crew; returns when mesh has answered, or after LONGEST_WAIT. It goes on until `leave`."""
        first = asyncio.Event()
        self._running = asyncio.create_task(self._run(first), name="announce-crew")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT):
                await first.wait()

    async def leave(self) -> None:
        """Say that the crew ends; returns when mesh has answered, or after LONGEST_WAIT."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._running = None
        with contextlib.suppress(MeshUnavailable, MeshRefused):
            await self._client.crew(self._base, {"name": self._name, "leaving": True}, within=LONGEST_WAIT)

    async def _run(self, first: asyncio.Event) -> None:
        while True:
            wait = await self._once()
            if wait is None:
                wait = random.uniform(0.5, 1.0)  # noqa: S311 # not a secret
            else:
                first.set()
            await asyncio.sleep(wait)

    async def _once(self) -> float | None:
        """Seconds until the next announcement; None if mesh could not be reached."""
        try:
            answer = await self._client.crew(self._base, self._body, within=LONGEST_WAIT)
        except MeshUnavailable as error:
            log.debug("the crew could not be announced: %s", error)
            return None
        except MeshRefused as refusal:
            if not self._unknown:
                self._unknown = True
                log.debug("mesh takes no announcement of a crew: %s", refusal)
            return EVERY_MOST
        self._unknown = False
        every = answer.get("every_seconds")
        if isinstance(every, int | float) and not isinstance(every, bool) and every > 0:
            return min(float(every), EVERY_MOST)
        return EVERY
