"""The files of another commit, and what is said where they cannot be had."""

import subprocess
from pathlib import Path

import pytest

from servers.commits import previous_commit, resolved, unpacked
from servers.processes import ServerUnavailable


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: `a` says one, then two."""
    folder = tmp_path / "whole"
    folder.mkdir()
    git(folder, "init", "-q")
    for text in ("one", "two"):
        (folder / "a").write_text(text)
        git(folder, "add", "a")
        git(folder, "commit", "-q", "-m", text)
    return folder


def test_a_commit_is_unpacked_once_whatever_name_it_is_asked_by(repository: Path) -> None:
    tree = unpacked("HEAD~1", repository)
    assert (tree / "a").read_text() == "one"
    (tree / "a").write_text("kept")
    assert (unpacked(git(repository, "rev-parse", "HEAD~1"), repository) / "a").read_text() == "kept"
    assert (unpacked("main", repository) / "a").read_text() == "two"
    assert not list(tree.parent.glob("half-*"))


def test_a_shallow_clone_says_how_to_get_the_commit(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(ServerUnavailable, match=r"clone is shallow and lacks commit \w+; `git fetch --unshallow`"):
        resolved(git(repository, "rev-parse", "HEAD~1"), tmp_path / "shallow")


def test_an_unknown_commit_is_named(repository: Path) -> None:
    with pytest.raises(ServerUnavailable, match="no commit nowhere"):
        resolved("nowhere", repository)


def test_a_folder_without_history_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="is no git repository"):
        resolved("HEAD", tmp_path)


def test_the_version_before_is_a_whole_commit_id() -> None:
    assert len(bytes.fromhex(previous_commit())) == 20
