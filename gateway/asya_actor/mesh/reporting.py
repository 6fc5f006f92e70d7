"""One delivery's reports to mesh: its claim, the reports that renew it, and the hop's outcome."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from secrets import token_hex
from typing import Any

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable, offer_in
from asya_actor.mesh.pulse import PULSE
from asya_actor.mesh.signs import Sign
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.hop_reports import ReportKind, completed_message, processing_message, received_message
from asya_crds.incarnations import incarnation_of
from asya_crds.mesh_messages import ClaimMessage, ProgressMessage, read_answer
from asya_crds.status import ClaimAction, HopState

log = logging.getLogger(__name__)

DEFAULT_LEASE = 60.0
"""Seconds, for a mesh that does not say how long a claim holds."""
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


class Life(Enum):
    """Which reports a hop sends. It is chosen at its beginning and stays."""

    SINGLE = auto()
    """Each report in a request of its own."""
    BATCHED = auto()
    """Its beginning and its end are reports of batches; its end falls back to single reports."""
    UNKNOWN = auto()
    """None, because mesh does not know the task. Live events, children and pauses are sent nevertheless."""


@dataclass
class HopReports:
    """With `base` None nothing is reported, and the claim's answer is go. Every report has the unshifted route."""

    client: MeshClient
    base: str | None
    envelope: Envelope
    claimant: str = field(default_factory=lambda: token_hex(16))
    lease: float = DEFAULT_LEASE
    _ends_at: float | None = None
    """The task's deadline by the monotonic clock, from mesh's answer to the claim."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by `lose`: the task has ended, or another worker took over."""
    life: "Life" = Life.SINGLE
    _on_lost: Callable[[], None] | None = None
    _claim_text: str | None = None

    def __post_init__(self) -> None:
        self._incarnation = incarnation_of(self.envelope.id, self.envelope.headers)

    def lose(self) -> None:
        """Mesh has answered that the hop is no longer ours."""
        self.lost.set()
        if self._on_lost is not None:
            self._on_lost()

    def on_lost(self, call: Callable[[], None]) -> None:
        """Call this when the hop is lost, or at once if it already is."""
        self._on_lost = call
        if self.lost.is_set():
            call()

    async def received(self, size: int) -> Claimed:
        """Claim the hop; returns when mesh has answered."""
        if self.base is None:
            return Claimed(ClaimAction.GO)
        size_kb = round(size / 1024, 2)
        body = self._body(HopState.RECEIVED, message=received_message(size_kb), message_size_kb=size_kb)
        try:
            answer = await self._report(body)
        except MeshRefused as refusal:
            log.error("mesh rejects the report of %s, continuing without it: %s", self.envelope.id, refusal)
            return Claimed(ClaimAction.GO)
        said = read_answer(answer)
        if (offer := offer_in(answer)) is not None:
            self.client.offers[self.base] = offer
        self.told(said.lease_seconds, said.remaining_seconds)
        return Claimed(
            action=said.action or ClaimAction.GO,
            lease=self.lease,
            frames=frames_in(answer),
            ours=answer.get("action") is not None,
        )

    def told(self, lease: float | None, remaining: float | None) -> None:
        """Note what mesh has answered: how long the claim holds, and the seconds until the task's deadline."""
        if remaining is not None:
            self._ends_at = time.monotonic() + remaining
        if lease is not None and lease > 0:
            self.lease = float(lease)

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
    async def kept_alive(self, actor: str) -> AsyncIterator[None]:
        """Report `processing` repeatedly while the block runs."""
        if self.base is None or self.life is not Life.SINGLE:
            yield
            return
        ending = asyncio.Event()
        sign = Sign(self.base, self.envelope.id, self, actor, self.lease)
        PULSE.add(sign)
        signs = asyncio.create_task(self._give_signs(sign, ending), name=f"alive-{self.envelope.id}")
        try:
            yield
            ending.set()
            await asyncio.wait([signs], timeout=LONGEST_WAIT_FOR_SIGN)
        finally:
            PULSE.remove(sign)
            signs.cancel()
            await asyncio.gather(signs, return_exceptions=True)

    def processing(self, actor: str) -> Mapping[str, Any]:
        """The body of the report that the handler of this actor is running."""
        return self._body(HopState.PROCESSING, message=processing_message(actor))

    def alive(self) -> str:
        """The same as a report of a batch."""
        return self.report(ReportKind.ALIVE)

    async def _give_signs(self, sign: Sign, ending: asyncio.Event) -> None:
        pause, body = 0.1, self.processing(sign.actor)
        while not ending.is_set() and not self.lost.is_set():
            try:
                answer = await self.client.progress_once(sign.base, self.envelope.id, body)
                sign.given = time.monotonic()
                wait, pause = self.lease / SIGNS_PER_LEASE, 0.1
                if read_answer(answer).action is ClaimAction.DONE:
                    self.lose()
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
        if self.base is None or self.life is Life.UNKNOWN:
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
        if self.base is None or self.life is Life.UNKNOWN:
            return
        message = completed_message(milliseconds)
        try:
            await self._report(self._body(HopState.COMPLETED, route, message=message, duration_ms=milliseconds))
        except MeshRefused as refusal:
            log.error("mesh rejects the report of %s: %s", self.envelope.id, refusal)

    async def released(self) -> None:
        """Release the claim, with a single attempt, so that the next delivery of this hop may start at once."""
        if self.base is None or self.life is Life.UNKNOWN:
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
        said = ProgressMessage.wire(
            status=state,
            message=message,
            duration_ms=duration_ms,
            message_size_kb=message_size_kb,
            incarnation=self._incarnation.number or None,
            claim=self._claim,
        )
        return {**(route or self.envelope.route).as_dict(), **said}

    def report(self, kind: ReportKind, route: Route | None = None, more: str = "") -> str:
        """A report of a batch as JSON text. `more` are further members, `,"name":value` each."""
        if self._claim_text is None:
            claim = self._claim
            self._claim_text = (
                f'"id":{jsontext.quoted(self.envelope.id)},"claim":{{"hop":{jsontext.quoted(claim["hop"])},'
                f'"attempt":{claim["attempt"]},"claimant":"{self.claimant}"}}'
            )
        if kind is ReportKind.PART:
            return f'{{"kind":"{kind}",{self._claim_text}{more}}}'
        number = self._incarnation.number
        incarnation = f',"incarnation":{number}' if number else ""
        members = (route or self.envelope.route).to_json()[1:-1]
        return f'{{"kind":"{kind}",{self._claim_text},{members}{incarnation}{more}}}'

    @property
    def _claim(self) -> Mapping[str, Any]:
        hop = self._incarnation.hop(self.envelope.route.hop)
        return ClaimMessage.wire(hop=hop, attempt=self.envelope.attempt, claimant=self.claimant)


def frames_in(answer: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The frames in mesh's answer, which a done hop still has to send."""
    frames = answer.get("frames")
    return tuple(frame for frame in frames if isinstance(frame, Mapping)) if isinstance(frames, list) else ()
