"""Coalescing: which writes share a batch, when callers are answered, and which callers a failure affects."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from typing_extensions import override

from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.storage.coalescer import Coalescer, Limits
from tests.support.waiting import rounds, until


class Recorder:
    """A flush that records its batches and waits at a gate."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[BaseException] = []

    async def flush(self, batch: Sequence[str]) -> list[str]:
        self.batches.append(list(batch))
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return [item.upper() for item in batch]


def coalescer(recorder: Recorder, concurrency: int = 2, **limits: float) -> Coalescer[str, str]:
    return Coalescer(
        "test",
        recorder.flush,
        key=lambda item: None if item.startswith("keyless") else item.split("-")[0],
        size=len,
        limits=Limits(**({"patience": 0.5} | limits)),  # type: ignore[arg-type]
        concurrency=concurrency,
    )


async def test_writes_that_arrive_together_share_a_batch() -> None:
    recorder = Recorder()
    writes = coalescer(recorder)
    assert await asyncio.gather(*(writes.submit(name) for name in "abc")) == ["A", "B", "C"]
    assert recorder.batches == [["a", "b", "c"]]


async def test_a_batch_takes_half_of_many_so_that_the_rest_of_the_callers_is_served_meanwhile() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    waiters = [asyncio.create_task(writes.submit(f"{number}")) for number in range(160)]
    await until(lambda: len(recorder.batches) == 2)
    assert [len(batch) for batch in recorder.batches] == [80, 40]
    recorder.gate.set()
    await asyncio.gather(*waiters)
    assert sorted(item for batch in recorder.batches for item in batch) == sorted(str(n) for n in range(160))


async def test_a_flush_that_hangs_does_not_hold_up_what_comes_later() -> None:
    begun, hanging = asyncio.Event(), asyncio.Event()
    written: list[str] = []

    async def flush(batch: Sequence[str]) -> list[str]:
        if "stuck" in batch:
            begun.set()
            await hanging.wait()
        written.extend(batch)
        return list(batch)

    writes = Coalescer[str, str](
        "test", flush, key=lambda item: item, size=len, limits=Limits(patience=0.5), concurrency=2
    )
    stuck = asyncio.create_task(writes.submit("stuck"))
    await begun.wait()
    async with asyncio.timeout(5):
        for number in range(20):
            assert await writes.submit(str(number)) == str(number)
    assert "stuck" not in written
    hanging.set()
    assert await stuck == "stuck"


async def test_what_arrives_during_a_commit_waits_for_the_next() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder, concurrency=1)
    waiters = [asyncio.create_task(writes.submit("a"))]
    await rounds()
    waiters += [asyncio.create_task(writes.submit(name)) for name in "bc"]
    await rounds()
    recorder.gate.set()
    assert await asyncio.gather(*waiters) == ["A", "B", "C"]
    assert recorder.batches == [["a"], ["b", "c"]]


async def test_one_key_is_never_twice_in_a_batch_nor_in_two_at_once_and_keeps_its_order() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    waiters = [asyncio.create_task(writes.submit(name)) for name in ("a-1", "a-2", "b-1", "a-3")]
    await rounds()
    assert recorder.batches == [["a-1", "b-1"]]
    recorder.gate.set()
    await asyncio.gather(*waiters)
    assert recorder.batches == [["a-1", "b-1"], ["a-2"], ["a-3"]]


async def test_items_without_a_key_share_a_batch_and_are_answered_as_the_others_are() -> None:
    recorder = Recorder()
    writes = coalescer(recorder)
    await asyncio.gather(*(writes.submit(item) for item in ("keyless-1", "a-1", "keyless-2", "a-2", "keyless-1")))
    assert recorder.batches == [["keyless-1", "a-1", "keyless-2", "keyless-1"], ["a-2"]]
    recorder.failures = [ConnectionResetError() for _ in range(100)]
    lost = await asyncio.gather(*(writes.submit(f"keyless-{n}") for n in range(40)), return_exceptions=True)
    assert {type(error) for error in lost} == {Unavailable}
    recorder.failures = []
    assert await writes.submit("keyless-1") == "KEYLESS-1"
    assert writes.waiting == 0


async def test_batches_are_bounded_by_rows_and_by_bytes() -> None:
    recorder = Recorder()
    writes = coalescer(recorder, batch_rows=2, batch_bytes=10)
    names = ["a", "b", "c", "dddddddd", "eeeeeeee", "f" * 50]
    await asyncio.gather(*(writes.submit(name) for name in names))
    assert sorted(len(batch) for batch in recorder.batches) == [1, 1, 2, 2]
    assert ["f" * 50] in recorder.batches


async def test_an_item_of_many_rows_counts_as_many_and_is_alone_if_it_has_more_than_a_batch_may() -> None:
    recorder = Recorder()
    writes = Coalescer[str, str](
        "test", recorder.flush, key=str, size=len, rows=lambda item: int(item[1:]), limits=Limits(batch_rows=10)
    )
    await asyncio.gather(*(writes.submit(name) for name in ("a4", "b6", "c1", "d25", "e9", "f1")))
    assert recorder.batches == [["a4", "b6"], ["c1"], ["d25"], ["e9", "f1"]]


async def test_too_many_waiting_writes_are_refused_and_nothing_of_them_is_written() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder, concurrency=1, waiting_rows=2)
    waiters = [asyncio.create_task(writes.submit("a"))]
    await rounds()
    waiters += [asyncio.create_task(writes.submit(name)) for name in "bc"]
    await rounds()
    with pytest.raises(Overloaded):
        await writes.submit("d")
    recorder.gate.set()
    await asyncio.gather(*waiters)
    assert ["d"] not in recorder.batches


class TestWhereNobodyIsRefused:
    async def test_what_finds_too_many_waiting_waits_and_keeps_its_order(self) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        writes = coalescer(recorder, concurrency=1, waiting_rows=2, batch_rows=2, refuses=False)
        waiters = [asyncio.create_task(writes.submit(name)) for name in ("a-1", "b", "a-2", "c", "a-3", "d", "a-4")]
        await rounds()
        assert writes.waiting <= 2
        recorder.gate.set()
        assert await asyncio.gather(*waiters) == ["A-1", "B", "A-2", "C", "A-3", "D", "A-4"]
        written = [item for batch in recorder.batches for item in batch]
        assert [item for item in written if item.startswith("a")] == ["a-1", "a-2", "a-3", "a-4"]
        assert len(written) == 7

    async def test_a_caller_that_leaves_meanwhile_does_not_block_others(self) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        writes = coalescer(recorder, concurrency=1, waiting_rows=1, batch_rows=1, refuses=False)
        waiters = [asyncio.create_task(writes.submit(name)) for name in "abcdef"]
        await rounds()
        for leaving in waiters[3:5]:
            leaving.cancel()
        recorder.gate.set()
        await rounds()
        waiters[2].cancel()
        answers = await asyncio.gather(*waiters, return_exceptions=True)
        assert answers[:2] == ["A", "B"]
        assert answers[5] == "F"
        assert await writes.submit("g") == "G"
        assert (writes.waiting, writes._admitted, len(writes._outside)) == (0, 0, 0)

    async def test_twenty_thousand_beyond_the_limit_are_all_written(self) -> None:
        recorder = Recorder()
        writes = coalescer(recorder, waiting_rows=500, refuses=False)
        names = [str(number) for number in range(20_500)]
        assert await asyncio.gather(*(writes.submit(name) for name in names)) == names

    async def test_without_a_database_they_hear_of_it_with_those_that_wait_inside(self) -> None:
        recorder = Recorder()
        recorder.failures = [asyncpg.ConnectionDoesNotExistError("away") for _ in range(1_000)]
        writes = coalescer(recorder, patience=0.1, concurrency=1, waiting_rows=1, batch_rows=1, refuses=False)
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*(writes.submit(name) for name in "abcdef"), return_exceptions=True)
        assert all(isinstance(answer, Unavailable) for answer in answers)
        recorder.failures = []
        assert await writes.submit("g") == "G"

    async def test_closing_writes_what_waits_outside(self) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        writes = coalescer(recorder, concurrency=1, waiting_rows=1, batch_rows=1, refuses=False)
        waiters = [asyncio.create_task(writes.submit(name)) for name in "abcd"]
        await rounds()
        closing = asyncio.create_task(writes.close())
        await rounds()
        with pytest.raises(Unavailable):
            await writes.submit("e")
        recorder.gate.set()
        await closing
        assert await asyncio.gather(*waiters) == ["A", "B", "C", "D"]


async def test_too_many_waiting_bytes_are_refused() -> None:
    writes = coalescer(Recorder(), waiting_bytes=10)
    with pytest.raises(Overloaded):
        await writes.submit("a" * 11)


async def test_a_waiter_that_goes_away_neither_stops_its_write_nor_its_neighbours() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    leaving = asyncio.create_task(writes.submit("a"))
    staying = asyncio.create_task(writes.submit("b"))
    await rounds()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    recorder.gate.set()
    assert await staying == "B"
    assert recorder.batches == [["a", "b"]]


async def test_what_was_written_for_a_waiter_that_went_away_is_told() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    told: list[str] = []
    leaving = asyncio.create_task(writes.submit("a", told.append))
    staying = asyncio.create_task(writes.submit("b", told.append))
    await rounds()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert told == []
    recorder.gate.set()
    assert await staying == "B"
    await rounds()
    assert told == ["A"]


async def test_it_is_also_told_if_the_waiter_goes_in_the_moment_in_which_it_was_written() -> None:
    recorder = Recorder()
    writes = coalescer(recorder)
    told: list[str] = []

    async def flush(batch: Sequence[str]) -> list[str]:
        # The waiter hears of both in its next turn: of the reply, and that it is cancelled.
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(leaving.cancel))
        return await recorder.flush(batch)

    writes._flush = flush
    leaving = asyncio.create_task(writes.submit("a", told.append))
    await asyncio.gather(leaving, return_exceptions=True)
    await rounds()
    assert told == (["A"] if leaving.cancelled() else [])
    assert recorder.batches == [["a"]]


async def test_what_the_told_one_raises_is_no_matter_of_the_batch() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))

    def told(_reply: str) -> None:
        raise ValueError

    leaving = asyncio.create_task(writes.submit("a", told))
    staying = asyncio.create_task(writes.submit("b"))
    await rounds()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    recorder.gate.set()
    assert await staying == "B"
    await rounds()
    assert [type(each) for each in raised] == [ValueError]
    assert recorder.batches == [["a", "b"]]


async def test_a_refused_batch_is_written_row_by_row_and_only_the_guilty_row_fails() -> None:
    class Picky(Recorder):
        @override
        async def flush(self, batch: Sequence[str]) -> list[str]:
            self.batches.append(list(batch))
            if "bad" in batch:
                raise asyncpg.CheckViolationError("no")
            return [item.upper() for item in batch]

    recorder = Picky()
    writes = coalescer(recorder)
    answers = await asyncio.gather(*(writes.submit(name) for name in ("a", "bad", "c")), return_exceptions=True)
    assert answers[0] == "A"
    assert isinstance(answers[1], asyncpg.CheckViolationError)
    assert answers[2] == "C"


async def test_after_a_lost_connection_the_same_batch_is_written_again() -> None:
    recorder = Recorder()
    recorder.failures = [asyncpg.ConnectionDoesNotExistError("cut")]
    writes = coalescer(recorder)
    assert list(await asyncio.gather(writes.submit("a"), writes.submit("b"))) == ["A", "B"]
    assert recorder.batches == [["a", "b"], ["a", "b"]]


async def test_a_database_that_stays_away_is_unavailable_after_the_patience() -> None:
    recorder = Recorder()
    recorder.failures = [OSError("refused") for _ in range(100)]
    writes = coalescer(recorder, patience=0.2)
    with pytest.raises(Unavailable):
        await writes.submit("a")


async def test_a_row_that_waits_too_long_for_a_lock_is_unavailable_alone() -> None:
    class Locked(Recorder):
        @override
        async def flush(self, batch: Sequence[str]) -> list[str]:
            if "locked" in batch:
                raise asyncpg.LockNotAvailableError("lock timeout")
            return [item.upper() for item in batch]

    writes = coalescer(Locked())
    answers = await asyncio.gather(writes.submit("locked"), writes.submit("b"), return_exceptions=True)
    assert isinstance(answers[0], Unavailable)
    assert answers[1] == "B"


async def test_closing_writes_what_was_taken_and_refuses_what_comes_later() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder)
    waiter = asyncio.create_task(writes.submit("a"))
    await rounds()
    closing = asyncio.create_task(writes.close())
    await rounds()
    recorder.gate.set()
    await closing
    assert await waiter == "A"
    with pytest.raises(Unavailable):
        await writes.submit("b")


async def test_a_write_that_comes_as_the_last_flushes_end_is_written_without_waiting_for_another() -> None:
    recorder = Recorder()
    writes = coalescer(recorder, concurrency=1)
    late: list[asyncio.Task[str]] = []

    def submit_late(_: object) -> None:
        late.append(asyncio.create_task(writes.submit("late")))

    first = asyncio.create_task(writes.submit("a"))
    await asyncio.sleep(0)
    (flush,) = writes._flushes
    # Before the coalescer's own callback: the moment in which the flush has ended and is not yet known to have.
    flush.remove_done_callback(writes._flushes.discard)
    flush.add_done_callback(submit_late)
    await first
    async with asyncio.timeout(5):
        while not late:
            await asyncio.sleep(0)
        assert await late[0] == "LATE"


async def test_while_the_database_is_away_a_write_does_not_wait_for_earlier_batches() -> None:
    recorder = Recorder()
    recorder.failures = [OSError("gone")] * 1000
    writes = coalescer(recorder, concurrency=1, patience=0.3, batch_rows=1)
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(writes.submit(f"{n}") for n in range(20)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 20
    assert asyncio.get_running_loop().time() - began < 2
    assert (writes.waiting, writes._waiting_bytes) == (0, 0)


async def test_rows_that_are_written_one_by_one_are_given_up_together_when_the_database_goes_away() -> None:
    recorder = Recorder()
    refused = asyncpg.PostgresSyntaxError("no")
    recorder.failures = [refused, *[OSError("gone")] * 1000]
    writes = coalescer(recorder, concurrency=1, patience=0.3)
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(writes.submit(f"{n}") for n in range(20)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 20
    assert asyncio.get_running_loop().time() - began < 2


async def test_after_giving_up_every_key_is_written_again() -> None:
    recorder = Recorder()
    recorder.failures = [OSError("gone") for _ in range(50)]
    writes = coalescer(recorder, patience=0.2)
    refused = await asyncio.gather(
        *(writes.submit(name) for name in ("a-1", "a-2", "b-1", "a-3")), return_exceptions=True
    )
    assert [type(answer) for answer in refused] == [Unavailable] * 4
    assert writes.waiting == 0
    recorder.failures = []
    assert list(await asyncio.gather(writes.submit("a-4"), writes.submit("a-5"), writes.submit("b-2"))) == [
        "A-4",
        "A-5",
        "B-2",
    ]


async def test_a_long_line_behind_one_key_keeps_its_order_and_holds_up_no_other() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    writes = coalescer(recorder, concurrency=1, batch_rows=4)
    waiters = [asyncio.create_task(writes.submit(f"a-{number}")) for number in range(500)]
    await rounds()
    waiters.append(asyncio.create_task(writes.submit("b-0")))
    await rounds()
    recorder.gate.set()
    await asyncio.gather(*waiters)
    assert "b-0" in recorder.batches[1]
    line = [item for batch in recorder.batches for item in batch if item.startswith("a")]
    assert line == [f"a-{number}" for number in range(500)]
