"""Reports that travel together: how they are gathered, and what a mesh that refuses, loses or forgets them causes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_actor.mesh import batching
from asya_actor.mesh.batching import Line, NotOffered, ReportLine
from asya_actor.mesh.client import BatchLimits, MeshClient, MeshRefused, Timeouts, offer_in
from asya_crds.jsontext import dumps
from tests.support.mesh_stub import ANSWERS, MeshStub, mesh_stub
from tests.support.waiting import until

QUEUES = '{"transport":"postgres","namespace":"default"}'


@pytest.fixture
async def stub() -> AsyncIterator[MeshStub]:
    async with mesh_stub() as made:
        yield made


@pytest.fixture
async def line(stub: MeshStub) -> AsyncIterator[ReportLine]:
    client = MeshClient(Timeouts(connect=1.0, total=5.0), {stub.url: BatchLimits(256, 1024 * 1024)})
    made = ReportLine(client, Line(stub.url, QUEUES))
    yield made
    await made.close()
    await client.close()


def end(number: int, text: str = "") -> dict[str, Any]:
    return {"kind": "end", "id": f"t{number}", "text": text}


def ids(batch: list[Any]) -> list[str]:
    return [report["id"] for report in batch]


def submitted(line: ReportLine, *reports: dict[str, Any], rows: int = 1) -> "list[asyncio.Task[Any]]":
    return [asyncio.ensure_future(line.submit(dumps(report), rows=rows)) for report in reports]


async def test_a_single_report_is_sent_at_once_with_the_queues(stub: MeshStub, line: ReportLine) -> None:
    assert await line.submit(dumps(end(0))) == {"outcome": "ended"}
    assert [body for _, _, body in stub.requests] == [
        {"queues": {"transport": "postgres", "namespace": "default"}, "reports": [end(0)]}
    ]


async def test_reports_gather_while_two_requests_are_under_way(stub: MeshStub, line: ReportLine) -> None:
    stub.hold.clear()
    first = submitted(line, end(0))
    await until(lambda: len(stub.batches) == 1, 5, "the first request")
    second = submitted(line, end(1))
    await until(lambda: len(stub.batches) == 2, 5, "the second request")
    rest = submitted(line, *(end(number) for number in range(2, 100)))
    await asyncio.sleep(0)
    stub.hold.set()
    assert await asyncio.gather(*first, *second, *rest) == [{"outcome": "ended"}] * 100
    assert [ids(batch) for batch in stub.batches[:2]] == [["t0"], ["t1"]]
    assert [one for batch in stub.batches for one in ids(batch)] == [f"t{number}" for number in range(100)]
    assert len(stub.batches) <= 6
    assert stub.most_under_way == 2


async def test_what_is_reported_in_one_turn_of_the_loop_is_one_request(stub: MeshStub, line: ReportLine) -> None:
    await asyncio.gather(*submitted(line, end(0), end(1), end(2)))
    assert [ids(batch) for batch in stub.batches] == [["t0", "t1", "t2"]]


async def test_a_request_has_no_more_rows_and_bytes_than_mesh_offers(stub: MeshStub, line: ReportLine) -> None:
    line.client.offers[stub.url] = BatchLimits(rows=10, bytes=1000)
    await asyncio.gather(*submitted(line, *(end(number) for number in range(8)), rows=3))
    assert {len(batch) for batch in stub.batches} <= {1, 2, 3}
    stub.requests.clear()
    await asyncio.gather(*submitted(line, *(end(number, "x" * 400) for number in range(8))))
    assert {len(batch) for batch in stub.batches} <= {1, 2}


async def test_a_large_report_is_sent_alone_and_holds_up_no_other(
    stub: MeshStub, line: ReportLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_BYTES", 1000)
    stub.hold.clear()
    large = [asyncio.ensure_future(line.submit(dumps(end(number, "x" * 2000)))) for number in range(2)]
    await until(lambda: len(stub.batches) == 1, 5, "the first large report")
    small = submitted(line, *(end(number) for number in range(10, 13)))
    await until(lambda: len(stub.batches) == 2, 5, "the small ones")
    stub.hold.set()
    await asyncio.gather(*large, *small)
    assert [ids(batch) for batch in stub.batches] == [["t0"], ["t10", "t11", "t12"], ["t1"]]


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, 401, 403, 421, "lost"])
async def test_what_may_pass_is_sent_again_as_it_was(stub: MeshStub, line: ReportLine, trouble: Any) -> None:
    stub.answers.extend([trouble, trouble])
    assert await asyncio.gather(*submitted(line, end(0), end(1))) == [{"outcome": "ended"}] * 2
    assert stub.batches == [[end(0), end(1)]] * 3


@pytest.mark.parametrize(
    "answer", [404, 405, (404, '{"error":{"message":"Not Found"}}'), 200, (200, "{}"), (200, '{"answers":[{},{},{}]}')]
)
async def test_a_mesh_without_the_route_leads_back_to_single_reports_at_once(
    stub: MeshStub, line: ReportLine, answer: Any
) -> None:
    stub.answers.append(answer)
    answers = await asyncio.gather(*submitted(line, end(0), end(1)), return_exceptions=True)
    assert [type(one) for one in answers] == [NotOffered] * 2
    assert line.client.offers == {}
    with pytest.raises(NotOffered):
        await line.submit(dumps(end(2)))
    assert len(stub.requests) == 1


async def test_a_request_that_is_too_large_is_halved(stub: MeshStub, line: ReportLine) -> None:
    stub.answers.extend([413, 413])
    answers = await asyncio.gather(*submitted(line, *(end(number) for number in range(4))))
    assert answers == [{"outcome": "ended"}] * 4
    assert [ids(batch) for batch in stub.batches] == [
        ["t0", "t1", "t2", "t3"],
        ["t0", "t1"],
        ["t0"],
        ["t1"],
        ["t2", "t3"],
    ]


async def test_only_the_report_at_fault_is_refused(stub: MeshStub, line: ReportLine) -> None:
    stub.answers.extend([400, (200, '{"answers":[{"outcome":"ended"}]}'), (400, '{"error":{"message":"no"}}')])
    answers = await asyncio.gather(*submitted(line, end(0), end(1), end(2)), return_exceptions=True)
    assert [answers[0], answers[2]] == [{"outcome": "ended"}] * 2
    assert isinstance(answers[1], MeshRefused)
    assert line.client.offers


async def test_each_report_has_its_own_answer(stub: MeshStub, line: ReportLine) -> None:
    busy = {"error": {"status": 503, "message": "later", "retry_after": 0.01}}
    wrong = {"error": {"status": 400, "message": "expected a string", "field": "claim.hop"}}
    times = {"t1": [busy, busy]}

    def answer(report: Any) -> Any:
        if report["id"] == "t2":
            return wrong
        left = times.get(report["id"])
        return left.pop() if left else ANSWERS["end"]

    stub.report = answer
    answers = await asyncio.gather(*submitted(line, end(0), end(1), end(2)), return_exceptions=True)
    assert answers[:2] == [{"outcome": "ended"}] * 2
    assert str(answers[2]) == "400: claim.hop: expected a string"
    assert [ids(batch) for batch in stub.batches] == [["t0", "t1", "t2"], ["t1"], ["t1"]]


async def test_a_report_that_nobody_waits_for_is_not_sent_again(stub: MeshStub, line: ReportLine) -> None:
    stub.answers.append(503)
    one, other = submitted(line, end(0), end(1))
    await until(lambda: stub.requests, 5, "the request")
    one.cancel()
    assert await other == {"outcome": "ended"}
    assert ids(stub.batches[-1]) == ["t1"]


@pytest.mark.parametrize(
    ("said", "offer"),
    [
        ({"rows": 256, "bytes": 1048576}, BatchLimits(256, 1048576)),
        (None, None),
        (1, None),
        ({}, None),
        ({"rows": 0, "bytes": 1}, None),
        ({"rows": True, "bytes": 1}, None),
        ({"rows": "2", "bytes": 1}, None),
    ],
)
def test_an_offer_that_is_not_understood_is_none(said: Any, offer: BatchLimits | None) -> None:
    assert offer_in({"batch": said}) == offer


async def test_a_report_that_was_given_up_while_its_batch_was_refused_turns_nobody_away(
    stub: MeshStub, line: ReportLine, caplog: pytest.LogCaptureFixture
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()
    requests: list[int] = []

    class Client:
        offers = line.client.offers

        async def reports(self, base: str, body: bytes, *, within: float | None = None) -> bytes:
            requests.append(body.count(b'"k"'))
            if len(requests) == 2:
                asked.set()
                await answer.wait()
            if len(requests) <= 2:
                raise MeshRefused(400, "no")
            return b'{"answers":[{"outcome":"ended"}]}'

    refused = ReportLine(Client(), line.line)  # type: ignore[arg-type]
    given_up, other = (asyncio.create_task(refused.submit(f'{{"k":{number}}}')) for number in range(2))
    await asked.wait()
    given_up.cancel()
    await asyncio.sleep(0)
    answer.set()
    assert await other == {"outcome": "ended"}
    assert requests == [2, 1, 1]
    assert "InvalidStateError" not in caplog.text


async def test_a_report_that_mesh_cannot_take_for_long_is_logged(
    stub: MeshStub, line: ReportLine, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [{"error": {"status": 503, "message": "busy"}}] * 2 + [{"outcome": "ended"}]
    stub.report = lambda _: answers.pop(0)
    assert await line.submit('{"kind":"end"}') == {"outcome": "ended"}
    assert [record.getMessage().partition(" (")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "mesh does not accept a report now"
    ]
