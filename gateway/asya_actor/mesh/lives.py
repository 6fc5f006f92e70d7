"""The life of a hop in two reports of batches: its beginning, and its end with everything that follows from it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from asya_actor.mesh.batching import Line, NotOffered, ReportLine
from asya_actor.mesh.client import MeshClient, MeshRefused
from asya_actor.mesh.pulse import PULSE
from asya_actor.mesh.renewing import Renewals
from asya_actor.mesh.reporting import HopReports, Life, frames_in
from asya_actor.mesh.signs import Sign
from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.hop_reports import MOST_PARTS, BeginAction, EndOutcome, QueuesMessage, ReportKind

log = logging.getLogger(__name__)

PART_BYTES = 1024 * 1024
"""Bytes of envelopes from which an end is sent in parts; a larger envelope is in a part of its own."""
PART_SENDS = 250
"""Most envelopes of an end or of a part."""
END_BYTES = 64 * 1024 * 1024
"""Bytes of envelopes from which mesh is not asked to end a hop. It moves all of them in one statement, whose time is
limited: it would be given up, and repeated for ever."""
ENCODED_HERE = 256 * 1024
"""Larger reports are encoded in a thread."""

_ENCODER = ThreadPoolExecutor(1, "encode-ends")
"""A thread of its own: a handler's threads may use up those of the event loop's pool."""


class Begun(NamedTuple):
    """Mesh's answer to the beginning of a hop. `frames` are those that a done hop still has to send. `ours`: this mesh
    supports claims."""

    action: BeginAction
    frames: tuple[Mapping[str, Any], ...] = ()
    ours: bool = False


class WireSend(NamedTuple):
    """One envelope of an end: its wire form without the two texts (the members of SendMessage, JSON text without its
    last brace), and the JSON texts of its head and its payload."""

    members: str
    head: str
    payload: str

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return len(self.head) + len(self.payload)

    def to_json(self) -> str:
        """JSON text of the wire form."""
        return f'{self.members},"head":{jsontext.quoted(self.head)},"payload":{jsontext.quoted(self.payload)}}}'


@dataclass(frozen=True, slots=True)
class HopEnd:
    """What a hop's end hands to mesh. `ends`: the index of the envelope that is the task's success, and the actor that
    it is due to. `log`, `ack`: JSON texts of the log's entry, and of the message with its receipt; empty for none."""

    route: Route
    sends: Sequence[WireSend]
    log: str = ""
    ends: tuple[int, str | None] | None = None
    ack: str = ""


class Batched:
    """The batched life of one hop."""

    def __init__(self, line: ReportLine, renewals: Renewals, reports: HopReports) -> None:
        self._line = line
        self._renewals = renewals
        self._reports = reports
        self._sign: Sign | None = None

    async def begin(self, size: int) -> Begun:
        """Claim the hop; returns when mesh has answered. Raises NotOffered, MeshRefused."""
        reports = self._reports
        more = f',"message_size_kb":{round(size / 1024, 2)}'
        answer = await self._line.submit(reports.report(ReportKind.BEGIN, more=more))
        reports.told(_number(answer.get("lease_seconds")), _number(answer.get("remaining_seconds")))
        reports.life = Life.UNKNOWN if answer.get("known") is False else Life.BATCHED
        try:
            action = BeginAction(str(answer.get("action")))
        except ValueError:
            action = BeginAction.GO
        return Begun(action, frames_in(answer), ours=True)

    def hold(self, actor: str) -> None:
        """Renew the claim from now on, until `let_go`."""
        if self._reports.life is not Life.BATCHED:
            return
        line, reports = self._line, self._reports
        sign = Sign(line.base, reports.envelope.id, reports, actor, reports.lease, line.together)
        self._sign = sign
        self._renewals.add(sign)
        PULSE.add(sign)

    def let_go(self) -> None:
        """Renew the claim no longer."""
        if self._sign is not None:
            PULSE.remove(self._sign)
            self._renewals.remove(self._sign)
            self._sign = None

    async def let_go_quietly(self) -> None:
        """Renew the claim no longer, and wait for a sign of life that is under way."""
        self.let_go()
        await self._renewals.quiet()

    async def end(self, end: HopEnd) -> EndOutcome:
        """Hand the end to mesh; returns when mesh has answered. After YOURS nothing was changed, and the worker sends
        the envelopes itself."""
        try:
            return await self._end(end)
        except NotOffered:
            return EndOutcome.YOURS
        except MeshRefused as refusal:
            log.warning("mesh does not end the hop of %s, doing it here: %s", self._reports.envelope.id, refusal)
            return EndOutcome.YOURS

    async def _end(self, end: HopEnd) -> EndOutcome:
        *before, last = _parts(end.sends)
        if len(before) > MOST_PARTS or (before and sum(send.size for send in end.sends) > END_BYTES):
            log.info("the envelopes of %s are too many for one end, sending them here", self._reports.envelope.id)
            return EndOutcome.YOURS
        for number, part in enumerate(before):
            outcome = await self._submit(ReportKind.PART, None, part, f',"part":{number}')
            if outcome is not EndOutcome.KEPT:
                return outcome
        more = f',"parts":{len(before)}' if before else ""
        if end.log:
            more += f',"log":{end.log}'
        if end.ack:
            more += f',"ack":{end.ack}'
        if end.ends is not None and (index := end.ends[0] - (len(end.sends) - len(last))) >= 0:
            actor = end.ends[1]
            named = "" if actor is None else f',"actor":{jsontext.dumps(actor)}'
            more += f',"ends":{{"send":{index}{named}}}'
        return await self._submit(ReportKind.END, end.route, last, more)

    async def _submit(self, kind: ReportKind, route: Route | None, sends: Sequence[WireSend], more: str) -> EndOutcome:
        if sum(send.size for send in sends) > ENCODED_HERE:
            loop = asyncio.get_running_loop()
            report = await loop.run_in_executor(_ENCODER, self._encoded, kind, route, sends, more)
        else:
            report = self._encoded(kind, route, sends, more)
        answer = await self._line.submit(report, rows=1 + len(sends))
        try:
            return EndOutcome(str(answer.get("outcome")))
        except ValueError:
            log.warning("mesh answered the end of %s with %.200r", self._reports.envelope.id, answer)
            return EndOutcome.YOURS

    def _encoded(self, kind: ReportKind, route: Route | None, sends: Sequence[WireSend], more: str) -> str:
        # One by one: in a thread, others get their turns in between.
        texts = ",".join([send.to_json() for send in sends])
        return self._reports.report(kind, route, f'{more},"sends":[{texts}]')


def _parts(sends: Sequence[WireSend]) -> list[Sequence[WireSend]]:
    """The envelopes in order, in groups that fit into one report; the last is the end's own."""
    groups: list[list[WireSend]] = [[]]
    size = 0
    for send in sends:
        if groups[-1] and (size + send.size > PART_BYTES or len(groups[-1]) >= PART_SENDS):
            groups.append([])
            size = 0
        groups[-1].append(send)
        size += send.size
    return list(groups)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


class ReportLines:
    """The lines of one process, one for each gateway and set of queues, and the renewals of its claims."""

    def __init__(self, client: MeshClient) -> None:
        self._client = client
        self._lines: dict[Line, ReportLine] = {}
        self.renewals = Renewals(client)

    def life_of(self, reports: HopReports, queues: str) -> Batched | None:
        """The batched life of a hop, if its gateway has offered it."""
        base = reports.base
        if base is None or base not in self._client.offers:
            return None
        key = Line(base, queues)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = ReportLine(self._client, key)
        return Batched(line, self.renewals, reports)

    async def close(self) -> None:
        """Stop the requests under way."""
        await self.renewals.close()
        for line in self._lines.values():
            await line.close()


def queues_text(*, transport: str, namespace: str, place: str, sink: str, sump: str, unroutable_seconds: float) -> str:
    """The JSON text that says which queues a worker uses."""
    return jsontext.dumps(
        QueuesMessage.wire(
            transport=transport,
            namespace=namespace,
            place=place,
            sink=sink,
            sump=sump,
            unroutable_seconds=unroutable_seconds,
        )
    )
