"""Large documents are counted before they are decoded, and decoded in another process as they would be here."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from asya_crds import jsontext, large_json
from asya_crds.large_json import FEW_VALUES, Encoded, TooManyValues, count_values, cut, has_few_values
from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.standstill import EVERY
from tests.support.waiting import until


@pytest_asyncio.fixture
async def offload() -> AsyncGenerator[Offload]:
    made = Offload()
    yield made
    await made.close()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def many(one: str, count: int = FEW_VALUES + 1) -> bytes:
    return f"[{','.join([one] * count)}]".encode()


@pytest.mark.parametrize(("text", "values"), [(b"1", 1), (b"[]", 1), (b"[1,2]", 3), (b'{"a":1,"b":[{}]}', 4)])
def test_values_are_counted_over_the_bytes(text: bytes, values: int) -> None:
    count_values(text, values)
    with pytest.raises(TooManyValues):
        count_values(text, values - 2)


def test_commas_and_brackets_within_a_string_are_no_values() -> None:
    text = jsontext.dumps({"csv": '1,2,[{\\",' * 50_000, "n": [1, 2]}).encode()
    assert not has_few_values(text)
    count_values(text, 10)


def test_counting_takes_no_longer_where_a_string_never_ends() -> None:
    text = b'"' + b'\\"' * 200_000 + b"," * 200_000
    began = time.process_time()
    count_values(text, 100_000)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "body",
    [
        many("[]"),
        many('{"a":1.5}'),
        many(f"{10**40}"),
        many('"\\ud800 \\u0000 \u00e4"'),
        many("1e-300"),
        b'{"text":"' + b",[" * FEW_VALUES + b'"}',
    ],
    ids=["lists", "objects", "long integers", "lone surrogates", "floats", "a string of commas"],
)
async def test_a_large_document_reads_as_a_small_one_would(body: bytes, offload: Offload) -> None:
    assert await large_json.loads(body, offload) == jsontext.loads(body)


@pytest.mark.parametrize(
    "body",
    [many("1")[:-1], many("NaN"), many("1e400"), many("1")[:-1] + b",\xff]", many("1")[:-1] + b"," + b"[" * 101],
    ids=["cut", "NaN", "out of range", "not UTF-8", "deep"],
)
async def test_a_large_document_is_refused_for_the_same_reason_as_a_small_one(body: bytes, offload: Offload) -> None:
    with pytest.raises(jsontext.InvalidJSON) as here:
        jsontext.loads(body)
    with pytest.raises(jsontext.InvalidJSON) as elsewhere:
        await large_json.loads(body, offload)
    assert str(elsewhere.value) == str(here.value)


async def test_too_many_values_are_refused_before_they_are_decoded(offload: Offload) -> None:
    with pytest.raises(TooManyValues, match="at most 30000 values"):
        await large_json.loads(many("[", 40_000), offload, max_values=30_000)


async def test_named_members_stay_text(offload: Offload) -> None:
    value = {"id": "t", "result": [1] * 30_000, "data": {"frames": [{"a": 1}], "none": None}}
    body = jsontext.dumps(value).encode()
    found = await large_json.loads(body, offload, encoded=("result", "data.frames", "data.none", "data.missing", "x.y"))
    assert isinstance(found["result"], Encoded)
    assert found["data"]["frames"].shape == "objects"
    assert found["data"]["none"] is None
    assert large_json.encode(found["result"]) == jsontext.dumps(value["result"])
    assert set(found["data"]) == {"frames", "none"}


async def test_a_process_that_ends_in_the_middle_is_told_and_replaced(offload: Offload) -> None:
    with pytest.raises(OffloadFailed, match="the process ended"):
        await offload.run("os:_exit", 3)
    assert await offload.run("os:getpid") != os.getpid()


async def test_a_process_that_ended_while_idle_loses_no_document(offload: Offload) -> None:
    os.kill(await offload.run("os:getpid"), signal.SIGKILL)
    assert await large_json.loads(many("[]"), offload) == [[]] * (FEW_VALUES + 1)


async def test_an_insisting_caller_waits_for_at_most_one_other() -> None:
    offload = Offload()
    ended: list[str] = []

    async def ask(name: str, run: Callable[[str], Awaitable[Any]]) -> None:
        await run("os:getpid")
        ended.append(name)

    try:
        calls = [asyncio.create_task(ask("call", offload.run)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.gather(*calls, *(ask("report", offload.insist) for _ in range(5)))
    finally:
        await offload.close()
    assert ended == ["call", *["report"] * 5, "call", "call"]


async def test_what_takes_too_long_is_ended() -> None:
    offload = Offload(seconds=0.5)
    try:
        with pytest.raises(OffloadFailed, match=r"longer than 0\.5 s"):
            await offload.run("time:sleep", 60)
    finally:
        await offload.close()


async def test_a_process_that_makes_no_progress_is_replaced_and_loses_no_document() -> None:
    offload = Offload(still=0.5)
    try:
        stopped = await offload.run("os:getpid")
        os.kill(stopped, signal.SIGSTOP)
        async with asyncio.timeout(20):
            assert await large_json.loads(many("[]"), offload) == [[]] * (FEW_VALUES + 1)
        assert not alive(stopped)
        with pytest.raises(OffloadFailed, match="the process ended"):
            await offload.insist("time:sleep", 60)
    finally:
        await offload.close()


async def test_a_process_that_works_is_left_alone() -> None:
    offload = Offload(still=EVERY)
    try:
        began = await offload.run("os:getpid")
        digits = await offload.run("builtins:pow", 3, 5_000_000)
        assert digits % 3 == 0
        assert await offload.run("os:getpid") == began
    finally:
        await offload.close()


async def test_the_answer_to_a_caller_that_left_is_not_the_next_ones(offload: Offload) -> None:
    first = await offload.run("os:getpid")
    asked = asyncio.create_task(offload.run("time:sleep", 60))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert await offload.run("os:getpid") not in (None, first)


async def test_only_so_many_wait() -> None:
    offload = Offload(waiting=1)
    try:
        asked = asyncio.create_task(offload.run("os:getpid"))
        await asyncio.sleep(0)
        with pytest.raises(OffloadFailed, match="wait"):
            await offload.run("os:getpid")
        assert await asked
    finally:
        await offload.close()


async def test_a_process_that_is_not_needed_ends_and_another_comes() -> None:
    offload = Offload(idle=0.0)
    try:
        first = await offload.run("os:getpid")
        await until(lambda: not alive(first))
        assert await offload.run("os:getpid") != first
    finally:
        await offload.close()


async def test_what_must_not_be_refused_waits_behind_any_number() -> None:
    offload = Offload(waiting=0)
    try:
        with pytest.raises(OffloadFailed, match="too many"):
            await large_json.loads(many("1"), offload)
        assert await large_json.loads(many("1"), offload, insist=True) == jsontext.loads(many("1"))
    finally:
        await offload.close()


async def test_what_must_not_be_refused_is_tried_again_where_the_process_ends(offload: Offload, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # Ends the process where the file is missing, after it was made.
    code = f"open({str(mark)!r}).read() if __import__('os').path.exists({str(mark)!r}) else "
    code += f"(open({str(mark)!r}, 'w').close(), __import__('os')._exit(3))"
    assert await offload.insist("builtins:eval", code) == ""
    with pytest.raises(OffloadFailed, match="the process ended"):
        await offload.insist("os:_exit", 3)


def test_members_of_very_many_values_are_left_out_by_name() -> None:
    small = {"type": "Bad", "n": [1, 2]}
    assert cut(small) is small
    assert cut({"a": [1] * 90, **small, "b": {"c": [1] * 90}}, 100) == {"a": [1] * 90, **small, "left_out": ["b"]}
    many_names = cut({str(number): number for number in range(1_000)}, 100)
    assert len(many_names) <= 101
