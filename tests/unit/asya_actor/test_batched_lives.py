"""A hop with a mesh that takes reports together: what it reports, and what it does itself when mesh does not."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from asya_actor.assembly import Assembly
from asya_actor.hop import Hop
from asya_actor.mesh import lives
from asya_actor.mesh.client import BatchLimits, MeshClient, Timeouts
from asya_actor.settings import WorkerSettings
from asya_actor.slots import Slot, Slots
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.hop_reports import REPORTS_PATH
from asya_transports.port import Delivery, OutboundMessage, Prefetch, Queue, Receipt, TransportError
from tests.support.mesh_stub import ANSWERS, MeshStub, mesh_stub
from tests.support.waiting import until

RECEIPT = Receipt(7, "0b5f5d0e-9e5c-4e9b-8d4f-6f2f0a1f3c11")
ENVELOPE = Envelope("t", Route((), "work", ("next",)), {"n": 1}, {}, {"phase": "pending", "attempt": 1})


@dataclass
class Queues:
    """A transport that only notes what is published."""

    name: str = "postgres"
    leaves_within: float = 0.0
    published: list[OutboundMessage] = field(default_factory=list)

    async def check(self) -> None: ...
    async def declare(self, queue: Queue) -> None: ...
    async def delete(self, actor: str) -> None: ...
    async def close(self) -> None: ...

    async def address(self, actor: str) -> str:
        return actor

    async def depth(self, actor: str) -> int:
        return 0

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        self.published.extend(messages)
        return [None] * len(messages)

    def receive(
        self, actor: str, *, prefetch: int | Prefetch = 1
    ) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        raise NotImplementedError

    def receive_dead_letters(
        self, *, prefetch: int | Prefetch = 1
    ) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        raise NotImplementedError


@dataclass
class Message:
    """A delivery that notes how it is answered."""

    body: bytes
    receipt: Receipt | None = RECEIPT
    actor: str = "work"
    deliveries: int = 1
    answers: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.answers.append("ack")

    def acknowledged(self) -> None:
        self.answers.append("acknowledged")

    async def nack(self, delay: float = 0.0) -> None:
        self.answers.append("nack")

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        self.answers.append("requeue")

    async def extend(self) -> None: ...


@dataclass
class Worker:
    """One actor `work` whose mesh is the stub."""

    stub: MeshStub
    queues: Queues
    assembly: Assembly
    slot: Slot = field(default_factory=lambda: Slot(Slots(1)))

    async def run(
        self, handler: Callable[[Any], Any], envelope: Envelope = ENVELOPE, receipt: Receipt | None = RECEIPT
    ) -> tuple[str, list[str]]:
        """Outcome and answers of one delivery."""
        settings = WorkerSettings(actor_name="work", handler="not.loaded", gateway_url=self.stub.url)
        _, actor = self.assembly.actor(settings, handler)
        message = Message(envelope.to_json().encode(), receipt)
        async with asyncio.timeout(10):
            outcome = await Hop(actor, message, self.slot).run()
        return outcome, message.answers

    @property
    def reports(self) -> list[Any]:
        return [report for batch in self.stub.batches for report in batch]

    @property
    def statuses(self) -> list[str]:
        """The single reports."""
        return [body["status"] for _, path, body in self.stub.requests if path.endswith("/progress")]


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with mesh_stub() as stub:
        client = MeshClient(Timeouts(connect=1.0, total=5.0), {stub.url: BatchLimits(256, 1024 * 1024)})
        queues = Queues()
        assembly = Assembly(queues, client=client)
        yield Worker(stub, queues, assembly)
        await assembly.close()


async def echo(payload: Any) -> Any:
    return payload


def answering(kind: str, answer: Any) -> Callable[[Any], Any]:
    return lambda report: answer if report["kind"] == kind else ANSWERS[report["kind"]]


async def test_a_hop_is_two_reports_and_nothing_else(worker: Worker) -> None:
    assert await worker.run(echo) == ("completed", ["acknowledged"])
    begin, end = worker.reports
    assert len(worker.stub.requests) == 2
    claim = begin.pop("claim")
    assert begin == {
        "kind": "begin",
        "id": "t",
        "prev": [],
        "curr": "work",
        "next": ["next"],
        "message_size_kb": begin["message_size_kb"],
    }
    assert (claim["hop"], claim["attempt"]) == ("0", 1)
    [send] = end.pop("sends")
    assert end.pop("log")["message"].startswith("Completed processing in ")
    assert end == {
        "kind": "end",
        "id": "t",
        "prev": [],
        "curr": "work",
        "next": ["next"],
        "claim": claim,
        "ack": {"message": 7, "receipt": RECEIPT.receipt},
    }
    assert (send["to"], send["id"], send["payload"]) == ("next", "t", '{"n":1}')
    whole = jsontext.loads(f'{send["head"][:-1]},"payload":{send["payload"]}}}')
    assert whole["route"] == {"prev": ["work"], "curr": "next", "next": []}
    assert worker.queues.published == []
    queues = worker.stub.requests[0][2]["queues"]
    assert queues == {
        "transport": "postgres",
        "namespace": "default",
        "place": "",
        "sink": "x-sink",
        "sump": "x-sump",
        "unroutable_seconds": 30.0,
    }


async def test_a_message_without_a_receipt_is_acknowledged_by_its_worker(worker: Worker) -> None:
    assert await worker.run(echo, receipt=None) == ("completed", ["ack"])
    assert "ack" not in worker.reports[-1]


async def test_the_last_hop_says_which_envelope_is_the_success(worker: Worker) -> None:
    last = ENVELOPE.with_(route=Route(("first",), "work", ()))
    assert (await worker.run(echo, last))[0] == "ended"
    assert worker.reports[-1]["ends"] == {"send": 0, "actor": "work"}
    assert worker.reports[-1]["sends"][0]["to"] == "x-sink"


@pytest.mark.parametrize("header", ["x-asya-fan-in", "x-asya-origin-id", "x-asya-hook", "x-asya-mesh-status"])
async def test_an_envelope_that_the_crew_treats_in_another_way_is_not_called_the_success(
    worker: Worker, header: str
) -> None:
    last = ENVELOPE.with_(route=Route((), "work", ()), headers={header: "other"})
    await worker.run(echo, last)
    assert "ends" not in worker.reports[-1]


async def test_children_come_first_with_their_routes_and_the_tasks_own_envelope_last(worker: Worker) -> None:
    async def split(payload: Any) -> AsyncIterator[Any]:
        for number in range(3):
            yield {"part": number}

    await worker.run(split)
    sends = worker.reports[-1]["sends"]
    assert [jsontext.loads(send["payload"])["part"] for send in sends] == [1, 2, 0]
    assert [send.get("child") for send in sends] == [
        {"parent_id": "t", "prev": ["work"], "curr": "next", "next": []}
    ] * 2 + [None]


async def test_more_envelopes_than_one_report_takes_are_sent_before_in_parts(worker: Worker) -> None:
    async def split(payload: Any) -> AsyncIterator[Any]:
        for number in range(1000):
            yield number

    last = ENVELOPE.with_(route=Route((), "work", ()))
    assert (await worker.run(split, last))[1] == ["acknowledged"]
    *parts, end = worker.reports[1:]
    assert [part["part"] for part in parts] == list(range(len(parts)))
    assert end["parts"] == len(parts) == 3
    sends = [send for report in (*parts, end) for send in report["sends"]]
    assert sorted(int(send["payload"]) for send in sends) == list(range(1000))
    assert end["sends"][end["ends"]["send"]]["id"] == "t"


@pytest.mark.parametrize(("bound", "most"), [("MOST_PARTS", 1), ("END_BYTES", 3_000)])
async def test_more_than_mesh_may_move_at_once_is_sent_by_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    async def split(payload: Any) -> AsyncIterator[Any]:
        for number in range(30):
            yield number

    monkeypatch.setattr(lives, "PART_SENDS", 10)
    monkeypatch.setattr(lives, bound, most)
    assert await worker.run(split) == ("completed", ["ack"])
    assert [report["kind"] for report in worker.reports] == ["begin"]
    assert worker.statuses == ["processed", "completed"]
    assert len(worker.queues.published) == 30


async def test_a_part_that_is_refused_ends_nothing(worker: Worker) -> None:
    async def split(payload: Any) -> AsyncIterator[Any]:
        for _ in range(3):
            yield "x" * 700_000

    worker.stub.report = answering("part", {"outcome": "refused"})
    assert await worker.run(split) == ("lost", ["requeue"])
    assert [report["kind"] for report in worker.reports] == ["begin", "part"]
    assert worker.queues.published == []


@pytest.mark.parametrize(
    ("action", "outcome", "answer"),
    [("drop", "dropped", "ack"), ("busy", "busy", "requeue"), ("done", "repeated", "ack")],
)
async def test_a_hop_that_must_not_run_calls_no_handler(worker: Worker, action: str, outcome: str, answer: str) -> None:
    def never(payload: Any) -> None:
        raise AssertionError

    worker.stub.report = answering("begin", {"action": action, "known": True})
    assert await worker.run(never) == (outcome, [answer])
    assert [report["kind"] for report in worker.reports] == ["begin"]


async def test_frames_of_a_done_hop_are_sent_by_the_worker(worker: Worker) -> None:
    frame = ENVELOPE.with_(route=Route(("work",), "next", ())).as_dict()
    worker.stub.report = answering("begin", {"action": "done", "known": True, "frames": [frame]})
    assert await worker.run(echo) == ("repeated", ["ack"])
    assert [message.actor for message in worker.queues.published] == ["next"]
    assert worker.statuses == ["completed"]


async def test_a_refused_end_sends_nothing_and_returns_the_message(worker: Worker) -> None:
    worker.stub.report = answering("end", {"outcome": "refused"})
    assert await worker.run(echo) == ("lost", ["requeue"])
    assert worker.queues.published == []
    assert worker.statuses == []


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "yours", "reason": "undeclared"},
        {"outcome": "what"},
        {"error": {"status": 400, "message": "expected something else"}},
    ],
)
async def test_an_end_that_mesh_leaves_to_the_worker_is_done_as_before(worker: Worker, answer: Any) -> None:
    worker.stub.report = answering("end", answer)
    assert await worker.run(echo) == ("completed", ["ack"])
    assert worker.statuses == ["processed", "completed"]
    [message] = worker.queues.published
    assert (message.actor, jsontext.loads(message.body)["payload"]) == ("next", {"n": 1})
    claimants = {report["claim"]["claimant"] for report in worker.reports}
    claimants |= {body["claim"]["claimant"] for _, path, body in worker.stub.requests if path.endswith("/progress")}
    assert len(claimants) == 1


@pytest.mark.parametrize("status", [404, 405])
async def test_a_mesh_that_lost_the_route_at_the_beginning_gets_single_reports(worker: Worker, status: int) -> None:
    worker.stub.answers.append(status)
    assert await worker.run(echo) == ("completed", ["ack"])
    assert worker.statuses == ["received", "processing", "processed", "completed"]
    assert len(worker.queues.published) == 1


async def test_a_mesh_that_lost_the_route_at_the_end_gets_the_end_in_single_reports(worker: Worker) -> None:
    async def then_old(payload: Any) -> Any:
        worker.stub.answers.append(404)
        return payload

    assert await worker.run(then_old) == ("completed", ["ack"])
    assert worker.statuses == ["processed", "completed"]
    assert len(worker.queues.published) == 1


async def test_a_task_that_mesh_does_not_know_is_worked_on_and_sent_on_without_reports(worker: Worker) -> None:
    worker.stub.report = answering("begin", {"action": "go", "known": False})
    assert await worker.run(echo) == ("completed", ["ack"])
    assert [report["kind"] for report in worker.reports] == ["begin"]
    assert worker.statuses == []
    assert len(worker.queues.published) == 1


async def test_a_failure_ends_the_hop_without_an_entry_in_the_log(worker: Worker) -> None:
    async def fails(payload: Any) -> Any:
        raise ValueError("no")

    assert await worker.run(fails) == ("failed", ["acknowledged"])
    end = worker.reports[-1]
    assert "log" not in end
    assert "ends" not in end
    assert [send["to"] for send in end["sends"]] == ["x-sump"]


async def test_a_hop_that_pauses_is_reported_as_before(worker: Worker) -> None:
    asking = ENVELOPE.with_(headers={"x-asya-pause": {"prompt": "?", "fields": []}})
    assert await worker.run(echo, asking) == ("paused", ["ack"])
    assert [report["kind"] for report in worker.reports] == ["begin"]
    assert worker.statuses == ["processed", "paused", "completed"]


@pytest.mark.parametrize("headers", [{}, {"x-asya-pause": {"prompt": "?", "fields": []}}])
async def test_no_sign_of_life_follows_the_single_reports_that_end_a_hop(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, headers: dict[str, Any]
) -> None:
    worker.stub.report = answering("end", {"outcome": "yours", "reason": "undeclared"})
    renewed: list[int] = []

    async def progress(self: MeshClient, base: str, task_id: str, body: Any) -> dict[str, Any]:
        renewed.append(len(worker.assembly.lines.renewals))
        return {}

    monkeypatch.setattr(MeshClient, "progress", progress)
    await worker.run(echo, ENVELOPE.with_(headers=headers))
    assert renewed
    assert set(renewed) == {0}


OFFERED = (200, '{"status":"ok","action":"go","batch":{"rows":256,"bytes":1048576}}')


async def test_the_offer_comes_with_the_answer_to_received_and_is_used_from_that_hops_end_on(worker: Worker) -> None:
    """The log still gets its entry that the handler runs, before the end."""
    worker.assembly.client.offers.clear()
    worker.stub.answers += [OFFERED, OFFERED]
    assert await worker.run(echo) == ("completed", ["acknowledged"])
    assert worker.statuses == ["received", "processing"]
    [end] = worker.reports
    assert (end["kind"], end["claim"]) == ("end", worker.stub.requests[-2][2]["claim"])
    assert worker.stub.requests[-1][1] == REPORTS_PATH
    await worker.run(echo)
    assert [report["kind"] for report in worker.reports] == ["end", "begin", "end"]


@pytest.mark.parametrize("status", [404, 405])
async def test_the_end_of_such_a_hop_goes_in_single_reports_where_mesh_has_lost_the_route(
    worker: Worker, status: int
) -> None:
    async def then_old(payload: Any) -> Any:
        await until(lambda: "processing" in worker.statuses)
        worker.stub.answers.append(status)
        return payload

    worker.assembly.client.offers.clear()
    worker.stub.answers += [OFFERED, OFFERED]
    assert await worker.run(then_old) == ("completed", ["ack"])
    assert worker.statuses == ["received", "processing", "processed", "completed"]
    assert len(worker.queues.published) == 1


async def test_such_a_hop_that_mesh_leaves_to_the_worker_or_that_pauses_ends_in_single_reports(worker: Worker) -> None:
    worker.stub.report = answering("end", {"outcome": "yours", "reason": "unknown"})
    for headers in ({}, {"x-asya-pause": {"prompt": "?", "fields": []}}):
        worker.assembly.client.offers.clear()
        worker.stub.answers += [OFFERED, OFFERED]
        await worker.run(echo, ENVELOPE.with_(headers=headers))
    paused = ["received", "processing", "processed", "paused", "completed"]
    assert worker.statuses == ["received", "processing", "processed", "completed", *paused]


async def test_a_hop_whose_mesh_knows_no_claims_ends_in_single_reports(worker: Worker) -> None:
    """Also where another hop has brought an offer meanwhile."""

    async def offered(payload: Any) -> Any:
        worker.assembly.client.offers[worker.stub.url] = BatchLimits(256, 1024)
        return payload

    worker.assembly.client.offers.clear()
    assert await worker.run(offered) == ("completed", ["ack"])
    assert worker.statuses == ["received", "processing", "processed", "completed"]


async def test_a_claim_is_renewed_until_its_end_is_stored(worker: Worker) -> None:
    alive = asyncio.Event()

    def report(said: Any) -> Any:
        if said["kind"] == "alive":
            alive.set()
        return {"action": "go", "lease_seconds": 0.2} if said["kind"] in ("begin", "alive") else ANSWERS[said["kind"]]

    worker.stub.report = report

    async def slow(payload: Any) -> Any:
        await alive.wait()
        alive.clear()
        return payload

    assert (await worker.run(slow))[0] == "completed"
    kinds = [said["kind"] for said in worker.reports]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    assert worker.statuses == []


async def test_a_hop_that_another_worker_took_over_is_given_up(worker: Worker) -> None:
    worker.stub.report = lambda said: {"action": "done" if said["kind"] == "alive" else "go", "lease_seconds": 0.2}

    async def never(payload: Any) -> Any:
        await asyncio.Event().wait()

    worker.assembly.client.offers[worker.stub.url] = BatchLimits(256, 1024)
    assert await worker.run(never) == ("lost", ["requeue"])


async def test_the_end_of_a_hop_and_the_beginning_of_the_next_share_a_request(worker: Worker) -> None:
    """With one place, a message costs one request."""
    settings = WorkerSettings(actor_name="work", handler="not.loaded", gateway_url=worker.stub.url, actor_concurrency=1)
    consumer, _ = worker.assembly.actor(settings, echo)
    messages = [Message(ENVELOPE.with_(id=f"t{number}").to_json().encode()) for number in range(5)]

    @asynccontextmanager
    async def source(prefetch: Prefetch) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async def stream() -> AsyncGenerator[Delivery]:
            for message in messages:
                yield message

        yield stream()

    consumer.source = source
    async with asyncio.timeout(10):
        await consumer.run(asyncio.Event())
    assert [message.answers for message in messages] == [["acknowledged"]] * 5
    kinds = [[report["kind"] for report in batch] for batch in worker.stub.batches]
    assert kinds == [["begin"], *[["end", "begin"]] * 4, ["end"]]


async def test_a_sign_of_life_under_way_arrives_before_the_claim_is_given_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later one would renew the claim for a whole lease, in which nobody else may run the hop."""
    worker.stub.report = lambda said: {"action": "go", "lease_seconds": 0.4}
    started, signed, slow = asyncio.Event(), asyncio.Event(), asyncio.Event()
    order: list[str] = []
    send, single = MeshClient.reports, MeshClient.progress_once

    async def reports(self: MeshClient, base: str, body: bytes, *, within: float | None = None) -> bytes:
        if b'"alive"' in body:
            signed.set()
            await slow.wait()
            order.append("alive")
        return await send(self, base, body, within=within)

    async def progress_once(self: MeshClient, base: str, task_id: str, body: Any) -> Any:
        order.append(body["status"])
        slow.set()
        return await single(self, base, task_id, body)

    monkeypatch.setattr(MeshClient, "reports", reports)
    monkeypatch.setattr(MeshClient, "progress_once", progress_once)

    async def never(payload: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(worker.run(never))
    await started.wait()
    await signed.wait()
    running.cancel()
    asyncio.get_running_loop().call_later(0.05, slow.set)
    await asyncio.gather(running, return_exceptions=True)
    assert order == ["alive", "released"]


async def test_a_large_end_is_sent_while_handlers_use_up_the_threads_of_the_loop(worker: Worker) -> None:
    finish = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, finish.wait, 20) for _ in range(64)]
    try:
        async with asyncio.timeout(10):
            outcome, _ = await worker.run(lambda _: {"text": "x" * 400_000})
    finally:
        finish.set()
        await asyncio.gather(*busy)
    assert outcome == "completed"
