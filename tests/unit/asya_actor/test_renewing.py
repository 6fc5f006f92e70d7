"""Claims of many hops are renewed together, also while a handler blocks the event loop."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typing_extensions import override

from asya_actor.mesh.batching import Line, ReportLine
from asya_actor.mesh.client import BatchLimits, MeshClient, Timeouts
from asya_actor.mesh.lives import Batched
from asya_actor.mesh.renewing import Renewals
from asya_actor.mesh.reporting import HopReports, Life
from asya_crds.envelope import Envelope, Route
from tests.support.mesh_stub import ANSWERS, MeshStub, mesh_stub
from tests.support.waiting import lasts_blocking, until

QUEUES = '{"transport":"postgres","namespace":"default"}'


class Server(ThreadingHTTPServer):
    """A mesh in threads, which answers while the event loop is blocked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.paths: list[str] = []
        self.reports: list[list[Any]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def renewed(self, status: int) -> set[str]:
        """The tasks whose claims were renewed: together, or one by one by a mesh without the route."""
        if status == 200:
            return {report["id"] for batch in self.reports for report in batch}
        return {path.split("/")[2] for path in self.paths if path.endswith("/progress")}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    @override
    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        answer: Any = {"action": "go", "lease_seconds": 1}
        status = 200
        if "reports" in said:
            self.server.reports.append(said["reports"])
            answer, status = {"answers": [answer] * len(said["reports"])}, self.server.status
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    @override
    def log_message(self, format: str, *args: Any) -> None: ...  # the base's name


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
async def client() -> AsyncIterator[MeshClient]:
    made = MeshClient(Timeouts(connect=1.0, total=5.0))
    yield made
    await made.close()


def held(client: MeshClient, renewals: Renewals, base: str, number: int, lease: float = 1.0) -> Batched:
    """The life of a hop whose claim is renewed."""
    client.offers.setdefault(base, BatchLimits(256, 1024 * 1024))
    reports = HopReports(client, base, Envelope(f"t{number}", Route((), "work", ()), {}), lease=lease)
    reports.life = Life.BATCHED
    life = Batched(ReportLine(client, Line(base, QUEUES)), renewals, reports)
    life.hold("work")
    return life


@pytest.mark.parametrize("status", [200, 404])
async def test_a_worker_whose_loop_is_blocked_keeps_sixty_four_claims(
    server: Server, client: MeshClient, status: int
) -> None:
    server.status, everyone = status, {f"t{number}" for number in range(64)}
    renewals = Renewals(client)
    with ExitStack() as stack:
        for number in range(64):
            stack.callback(held(client, renewals, server.url, number).let_go)
        for _ in range(200):  # without giving the event loop a turn
            lasts_blocking(0.05)
            if server.renewed(status) == everyone:
                break
    await renewals.close()
    assert server.renewed(status) == everyone
    assert {report["kind"] for batch in server.reports for report in batch} == {"alive"}
    assert server.connections <= 10


async def test_all_claims_are_renewed_by_one_request_well_within_their_lease(client: MeshClient) -> None:
    async with mesh_stub() as stub:
        renewals = Renewals(client)
        with ExitStack() as stack:
            for number in range(300):
                stack.callback(held(client, renewals, stub.url, number, lease=0.6).let_go)
            await until(lambda: len({report["id"] for batch in stub.batches for report in batch}) == 300, 5, "each")
        await renewals.close()
        assert len(stub.batches) <= 12


async def test_a_gateway_that_does_not_answer_holds_up_no_claim_at_another_one(client: MeshClient) -> None:
    async with mesh_stub() as slow, mesh_stub() as stub:
        slow.hold.clear()
        renewals = Renewals(client)
        with ExitStack() as stack:
            for base in (slow.url, stub.url):
                stack.callback(held(client, renewals, base, 0, lease=0.6).let_go)
            await until(lambda: slow.batches and len(stub.batches) >= 3, 5, "the renewals of the other")
        await renewals.close()


async def test_a_claim_whose_gateway_lost_the_route_is_renewed_by_single_reports(
    client: MeshClient, stub: MeshStub
) -> None:
    stub.answers.append(405)
    renewals = Renewals(client)
    with ExitStack() as stack:
        stack.callback(held(client, renewals, stub.url, 0, lease=0.3).let_go)
        await until(lambda: [1 for _, path, _ in stub.requests if path == "/mesh/t0/progress"], 5, "a single report")
    await renewals.close()
    assert client.offers == {}


async def test_only_the_hop_that_is_lost_is_told(client: MeshClient, stub: MeshStub) -> None:
    stub.report = lambda said: {"action": "done"} if said["id"] == "t1" else ANSWERS["alive"]
    renewals = Renewals(client)
    lives = [held(client, renewals, stub.url, number, lease=0.3) for number in range(3)]
    with ExitStack() as stack:
        for life in lives:
            stack.callback(life.let_go)
        await until(lambda: lives[1]._reports.lost.is_set(), 5, "the loss")
    await renewals.close()
    assert [life._reports.lost.is_set() for life in lives] == [False, True, False]


@pytest.fixture
async def stub() -> AsyncIterator[MeshStub]:
    async with mesh_stub() as made:
        yield made


async def test_nothing_is_renewed_when_no_hop_is_left(client: MeshClient, stub: MeshStub) -> None:
    renewals = Renewals(client)
    with ExitStack() as stack:
        stack.callback(held(client, renewals, stub.url, 0, lease=0.12).let_go)
        await until(lambda: stub.batches, 5, "a renewal")
    await until(lambda: renewals._running is not None and renewals._running.done(), 5, "the end of the task")
