"""How clients of others are installed: whole, or not at all."""

from pathlib import Path

import pytest

from servers.processes import ServerFailed
from tests.conformance import tools


class Installer:
    """Writes a file, and then fails as it is told, one failure a time."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.found: list[int] = []
        """How many files each attempt found."""

    def __call__(self, folder: Path) -> None:
        self.found.append(len(list(folder.iterdir())))
        (folder / "half").touch()
        if self.failures:
            raise self.failures.pop(0)
        (folder / "whole").touch()


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that say what to install, with a cache of this test's own."""
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    file = tmp_path / "wanted.txt"
    file.write_text("client==1")
    return [file]


def installed() -> list[str]:
    """The folders that the cache has."""
    return [path.name for path in tools.CACHE.iterdir() if path.is_dir()]


def test_an_interrupted_installation_is_not_taken_for_a_complete_one(wanted: list[Path]) -> None:
    install = Installer(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        tools.installed("client", wanted, install)
    folder = tools.installed("client", wanted, install)
    assert (folder / "whole").exists()
    assert installed() == [folder.name]
    assert tools.installed("client", wanted, install) == folder
    assert install.found == [0, 0]


def test_an_installation_that_fails_is_tried_again_from_the_start(wanted: list[Path]) -> None:
    install = Installer(ServerFailed("no network"), ServerFailed("still none"))
    assert (tools.installed("client", wanted, install) / "whole").exists()
    assert install.found == [0, 0, 0]


def test_the_last_failure_is_told(wanted: list[Path]) -> None:
    failures = [ServerFailed(f"attempt {number}") for number in range(tools.ATTEMPTS)]
    with pytest.raises(ServerFailed, match=f"attempt {tools.ATTEMPTS - 1}"):
        tools.installed("client", wanted, Installer(*failures))


def test_other_versions_take_the_place_of_installed_ones(wanted: list[Path]) -> None:
    before = tools.installed("client", wanted, Installer())
    wanted[0].write_text("client==2")
    after = tools.installed("client", wanted, Installer())
    assert before != after
    assert installed() == [after.name]


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its child holds the pipe of the output, which would be read until the child ends."""
    monkeypatch.setattr(tools, "INSTALLING", 0.2)
    with pytest.raises(ServerFailed, match="did not end in"):
        tools.command(["sh", "-c", "sleep 600; true"], tmp_path)
