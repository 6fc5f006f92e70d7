"""What the log contains about requests and tasks, and what it must not contain."""

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asya_gateway.exposition.logs import configure_logs
from asya_gateway.storage.coalescer import Coalescer, Limits
from asya_gateway.telemetry.context import about, begin, current
from tests.support.telemetry import Watched, ready, start_watched

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def log() -> Iterator[Callable[[str], io.StringIO]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def start(level: str) -> io.StringIO:
        stream = io.StringIO()
        configure_logs("json", level, "pod-1", stream)
        return stream

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
async def watched(database_url: str, tmp_path: Path) -> AsyncIterator[Watched]:
    async with start_watched(database_url, tmp_path) as started:
        await ready(started)
        yield started


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def only(found: list[dict[str, Any]], message: str) -> dict[str, Any]:
    (line,) = [line for line in found if line["message"].startswith(message)]
    return line


async def test_at_debug_a_task_is_told_with_its_identifiers_from_request_to_end(
    watched: Watched, log: Callable[[str], io.StringIO]
) -> None:
    stream = log("debug")
    task_id = await watched.submit("shout", {"text": "the payload itself"}, traceparent=CALLER)
    await watched.finish(task_id)

    found = lines(stream)
    ids = {"task_id": task_id, "flow": "shout"}
    traced = ids | {"trace_id": TRACE}
    assert traced.items() <= only(found, "accepted by rest").items()
    assert traced.items() <= only(found, "POST /tools/call 200").items()
    assert ids.items() <= only(found, "ended: succeeded").items()
    final = only(found, f"POST /mesh/{task_id}/final 200")
    assert final["task_id"] == task_id
    # The same connection served both, and the second came without a trace.
    assert "trace_id" not in final
    assert "the payload itself" not in stream.getvalue()


async def test_at_info_nothing_is_logged_for_a_call(watched: Watched, log: Callable[[str], io.StringIO]) -> None:
    stream = log("info")
    await watched.finish(await watched.submit())
    assert lines(stream) == []


async def test_a_flush_does_not_log_in_the_name_of_the_request_that_started_it() -> None:
    seen = []

    async def flush(items: Any) -> list[None]:
        seen.append(current())
        return [None] * len(items)

    begin(CALLER)
    about("task-1")
    coalescer = Coalescer[str, None]("x", flush, key=str, size=len, limits=Limits())
    await coalescer.submit("item")
    assert seen == [None]
