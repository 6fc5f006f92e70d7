"""One delivery's reports to mesh: its claim, the reports that renew it, and the hop's outcome."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable
from asya_actor.mesh.pulse import Pulse, Sign
from asya_actor.telemetry.tracing import carried
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.incarnations import incarnation_of
from asya_crds.mesh_messages import ClaimMessage, ProgressMessage, read_answer
from asya_crds.status import ClaimAction, HopState

log = logging.getLogger(__name__)

DEFAULT_LEASE = 60.0
"""Seconds, for a mesh that does not say how long a claim holds."""
PULSE = Pulse()
"""One thread for the whole process, whatever its number of actors."""

SIGNS_PER_LEASE = 3
LONGEST_RELEASE = 2.0
"""Seconds for which a worker's shutdown waits for mesh to release a claim. Its lease expires anyway."""
LONGEST_WAIT_FOR_SIGN = 2.0
"""Seconds for which the end of a handler waits for a `processing` report in flight, so that the log stays in order."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Mesh's answer to a claim: go, busy or done. `frames` are those that a done hop still had to send. `ours`: this
    mesh supports claims."""

    action: ClaimAction
    lease: float = DEFAULT_LEASE
    frames: tuple[Mapping[str, Any], ...] = ()
    ours: bool = False


@dataclass
class HopReports:
    """With `base` None nothing is reported, and the claim's answer is go. Every report has the unshifted route."""

    client: MeshClient
    base: str | None
    envelope: Envelope
    claimant: str = field(default_factory=lambda: uuid4().hex)
    lease: float = DEFAULT_LEASE
    _ends_at: float | None = None
    """The task's deadline by the monotonic clock, from mesh's answer to the claim."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when mesh answers that the hop is no longer ours: the task has ended, or another worker took over."""

    async def received(self, size: int) -> Claimed:
        """Claim the hop; returns when mesh has answered."""
        if self.base is None:
            return Claimed(ClaimAction.GO)
        size_kb = round(size / 1024, 2)
        body = self._body(HopState.RECEIVED, message=f"Received message ({size_kb} KB)", message_size_kb=size_kb)
        try:
            answer = await self._report(body)
        except MeshRefused as refusal:
            log.error("mesh rejects the report of %s, continuing without it: %s", self.envelope.id, refusal)
            return Claimed(ClaimAction.GO)
        said, frames = read_answer(answer), answer.get("frames")
        if said.remaining_seconds is not None:
            self._ends_at = time.monotonic() + said.remaining_seconds
        if said.lease_seconds is not None and said.lease_seconds > 0:
            self.lease = float(said.lease_seconds)
        return Claimed(
            action=said.action or ClaimAction.GO,
            lease=self.lease,
            frames=tuple(frame for frame in frames if isinstance(frame, Mapping)) if isinstance(frames, list) else (),
            ours=answer.get("action") is not None,
        )

    def seconds_left(self) -> float | None:
        """Seconds until the task's deadline, None if mesh did not report it. The deadline in the envelope is not used:
        it would be compared with this machine's clock, and mesh ends the task at its deadline anyway."""
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    async def active(self) -> bool:
        """Whether work on the task makes sense. If mesh cannot be reached now, the work continues."""
        if self.base is None:
            return True
        try:
            return await self.client.active(self.base, self.envelope.id)
        except MeshUnavailable as error:
            log.info("mesh does not report whether %s is active, continuing: %s", self.envelope.id, error)
            return True

    @contextlib.asynccontextmanager
    async def alive(self, actor: str) -> AsyncIterator[None]:
        """Report `processing` repeatedly while the block runs."""
        if self.base is None:
            yield
            return
        ending = asyncio.Event()
        body = self._body(HopState.PROCESSING, message=f"Processing in {actor}")
        sign = self._sign(self.base, body)
        PULSE.add(sign)
        signs = asyncio.create_task(self._give_signs(body, sign, ending), name=f"alive-{self.envelope.id}")
        try:
            yield
            ending.set()
            await asyncio.wait([signs], timeout=LONGEST_WAIT_FOR_SIGN)
        finally:
            PULSE.remove(sign)
            signs.cancel()
            await asyncio.gather(signs, return_exceptions=True)

    def _sign(self, base: str, body: Mapping[str, Any]) -> Sign:
        loop = asyncio.get_running_loop()

        def lost() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, so no handler is running
                loop.call_soon_threadsafe(self.lost.set)

        headers = {"Content-Type": "application/json", "Accept": "application/json", **carried()}
        return Sign(base, self.envelope.id, jsontext.dumps(body).encode(), headers, self.lease, lost)

    async def _give_signs(self, body: dict[str, Any], sign: Sign, ending: asyncio.Event) -> None:
        pause = 0.1
        while not ending.is_set() and not self.lost.is_set():
            try:
                answer = await self.client.progress_once(sign.base, self.envelope.id, body)
                sign.given = time.monotonic()
                wait, pause = self.lease / SIGNS_PER_LEASE, 0.1
                if read_answer(answer).action is ClaimAction.DONE:
                    self.lost.set()
            except MeshUnavailable as error:
                log.debug("claim of %s not renewed: %s", self.envelope.id, error)
                wait = pause = min(pause * 2, self.lease / SIGNS_PER_LEASE, 5.0)
            except MeshRefused as refusal:
                log.error("mesh rejects the report of %s: %s", self.envelope.id, refusal)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await ending.wait()

    async def processed(self, frames: Sequence[Envelope], route: Route) -> bool:
        """Store the frames in mesh before they are sent; False if the hop is no longer ours.

        Frames that are too large to be stored are sent without it; after a crash the handler would then run again.
        """
        if self.base is None:
            return True
        body = self._body(HopState.PROCESSED, route) | {"frames": [frame.as_dict() for frame in frames]}
        try:
            answer = await self._report(body)
        except MeshRefused as refusal:
            log.warning("mesh does not store the frames of %s: %s", self.envelope.id, refusal)
            return True
        return read_answer(answer).action is not ClaimAction.DONE

    async def completed(self, milliseconds: int | None, route: Route) -> None:
        """Report that the hop is done and its frames are published."""
        if self.base is None:
            return
        message = None if milliseconds is None else f"Completed processing in {milliseconds}ms"
        try:
            await self._report(self._body(HopState.COMPLETED, route, message=message, duration_ms=milliseconds))
        except MeshRefused as refusal:
            log.error("mesh rejects the report of %s: %s", self.envelope.id, refusal)

    async def released(self) -> None:
        """Release the claim, with a single attempt, so that the next delivery of this hop may start at once."""
        if self.base is None:
            return
        try:
            async with asyncio.timeout(LONGEST_RELEASE):
                await self.client.progress_once(self.base, self.envelope.id, self._body(HopState.RELEASED))
        except (MeshUnavailable, MeshRefused, TimeoutError) as error:
            log.info("the claim on %s stays until its lease expires: %s", self.envelope.id, error)

    async def _report(self, body: Mapping[str, Any]) -> dict[str, Any]:
        assert self.base is not None
        return await self.client.progress(self.base, self.envelope.id, body)

    def _body(
        self,
        state: HopState,
        route: Route | None = None,
        *,
        message: str | None = None,
        duration_ms: float | None = None,
        message_size_kb: float | None = None,
    ) -> dict[str, Any]:
        incarnation = incarnation_of(self.envelope.id, self.envelope.headers)
        said = ProgressMessage.wire(
            status=state,
            message=message,
            duration_ms=duration_ms,
            message_size_kb=message_size_kb,
            incarnation=incarnation.number or None,
            claim=ClaimMessage.wire(
                hop=incarnation.hop(self.envelope.route.hop),
                attempt=self.envelope.attempt,
                claimant=self.claimant,
            ),
        )
        return {**(route or self.envelope.route).as_dict(), **said}
