"""The order in which the programs of a benchmark start."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import pytest

from bench import work_programs
from bench.stage import QUICK, Stage
from bench.work_programs import Deployment, Place, workers


def test_the_workers_start_when_their_crew_consumes_so_that_no_log_tells_of_a_missing_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(QUICK, lambda _text: None)
    happened: list[str] = []

    @contextlib.contextmanager
    def running(_stage: Stage, name: str, _words: Sequence[str], _variables: Mapping[str, str]) -> Iterator[int]:
        happened.append(name)
        yield 1

    def answers(url: str) -> bool:
        happened.append(url.rpartition("/health/")[2])
        return happened.count("ready") == 2

    monkeypatch.setattr(work_programs, "_running", running)
    monkeypatch.setattr(work_programs, "answers", answers)
    actors = {"first": "echo", "second": "echo"}
    try:
        with workers(stage, Place("postgresql://nowhere", {}), Deployment(stage), actors, {}):
            assert happened == ["crew", "ready", "ready", "first", "second"]
    finally:
        stage.close()
