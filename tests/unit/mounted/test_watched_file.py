"""A watched file: what is in force while it changes, breaks, empties and disappears."""

import asyncio
import logging
from pathlib import Path

import pytest

from asya_gateway.mounted import reading, watching
from asya_gateway.mounted.watching import InvalidFile, WatchedFile
from tests.support.waiting import until


def decode(text: bytes) -> str:
    if not text.startswith(b"good"):
        raise InvalidFile("line 1: expected good")
    return text.decode()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SETTLE", 0.0)


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.file = WatchedFile("keys file", str(path), decode, poll_interval=0.01, on_change=self.told.append)

    async def look(self, text: str | None) -> str | None:
        """Write the text (None removes the file) and look."""
        if text is None:
            self.path.unlink()
        else:
            self.path.write_text(text)
        await self.file.look()
        return self.file.value


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "keys.yaml")


@pytest.mark.parametrize("broken", ["bad", "", None], ids=["broken", "emptied", "removed"])
async def test_what_a_file_said_last_stays_in_force_until_it_is_good_again(
    watched: Watched, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert await watched.look("good 1") == "good 1"
    assert await watched.look(broken) == "good 1"
    assert watched.file.problem
    assert "what it said before stays in force" in caplog.text
    assert await watched.look("good 2") == "good 2"
    assert watched.file.problem is None
    assert watched.told == ["good 1", "good 2"]


async def test_nothing_is_in_force_of_a_file_that_was_never_good(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    assert await watched.file.look() is False
    assert await watched.look("bad") is None
    assert watched.told == []
    assert "nothing of it is in force" in caplog.text


async def test_a_file_that_returns_to_what_it_said_changes_nothing(watched: Watched) -> None:
    await watched.look("good")
    await watched.look("bad")
    assert await watched.look("good") == "good"
    assert watched.file.problem is None
    assert watched.told == ["good"]


async def test_each_change_of_its_state_is_logged_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=watching.__name__)
    for text in ("bad", "bad", "good", "good"):
        await watched.look(text)
    assert len(caplog.records) == 2


async def test_a_file_that_is_too_large_is_refused(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_BYTES", 5)
    assert await watched.look("good 1") is None
    assert watched.file.problem == "expected at most 5 bytes"


async def test_a_changed_file_is_read_while_the_program_runs(watched: Watched) -> None:
    watched.path.write_text("good 1")
    await watched.file.start()
    try:
        assert watched.file.value == "good 1"
        watched.path.write_text("good 2")
        await until(lambda: watched.file.value == "good 2")
    finally:
        await watched.file.stop()
        await watched.file.stop()


async def test_an_error_of_the_program_does_not_end_the_watching(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_value: str) -> None:
        watched.told.append("failed")
        raise RuntimeError("a fault")

    watched.path.write_text("good 1")
    await watched.file.start()
    try:
        watched.file._on_change = fail
        watched.path.write_text("good 2")
        await until(lambda: watched.told == ["good 1", "failed"])
        watched.file._on_change = watched.told.append
        watched.path.write_text("good 3")
        async with asyncio.timeout(20):
            await until(lambda: watched.told[-1] == "good 3")
    finally:
        await watched.file.stop()
    assert "a fault" in caplog.text
