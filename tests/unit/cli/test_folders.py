"""Databases of `asya dev`: one for each project, one run at a time, nothing left behind."""

import os
from pathlib import Path

import pytest

from asya_cli.dev import folders
from asya_cli.dev.folders import hold_folder, state_folder
from asya_cli.dev.postgres import EmbeddedPostgres
from asya_cli.errors import CliError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, for root and for everybody else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(folders, "SHARED_STATE", tmp_path / "state")
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_a_project_gets_the_same_folder_again(tmp_path: Path) -> None:
    first, own = hold_folder(tmp_path / "project", ephemeral=False)
    first.release()
    second, own_again = hold_folder(tmp_path / "project", ephemeral=False)
    second.release()
    assert own
    assert own_again
    assert first.path == second.path
    assert first.path.is_relative_to(state_folder())


def test_projects_of_the_same_name_do_not_share_a_folder(tmp_path: Path) -> None:
    held = [hold_folder(tmp_path / parent / "project", ephemeral=False)[0] for parent in ("a", "b")]
    for folder in held:
        folder.release()
    assert held[0].path != held[1].path


def test_a_second_run_of_a_project_gets_an_ephemeral_folder(tmp_path: Path) -> None:
    first, _ = hold_folder(tmp_path / "project", ephemeral=False)
    second, own = hold_folder(tmp_path / "project", ephemeral=False)
    assert not own
    assert second.ephemeral
    assert second.path != first.path
    second.release()
    assert not second.path.exists()
    first.release()
    assert first.path.exists()


def test_ephemeral_folders_of_killed_runs_are_removed_and_held_ones_are_not(tmp_path: Path, state: Path) -> None:
    living, _ = hold_folder(tmp_path, ephemeral=True)
    abandoned = state_folder() / "ephemeral-of-a-killed-run"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    fresh, _ = hold_folder(tmp_path, ephemeral=True)
    assert not abandoned.exists()
    assert living.path.exists()
    fresh.release()
    living.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
def test_a_state_folder_of_another_user_is_refused(state: Path) -> None:
    folder = state_folder()
    os.chown(folder, 65534, 65534)
    with pytest.raises(CliError, match="belongs to another user"):
        state_folder()


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_a_user_without_a_home_folder_to_write_to_has_one_by_id(
    state: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    user = os.geteuid() or 54321
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if home is None:
        monkeypatch.setattr(Path, "home", _no_home)
    else:
        monkeypatch.setenv("HOME", home)
    shared = state / f"asya-dev-{user}"
    shared.mkdir()
    os.chown(shared, user, -1)
    assert state_folder() == shared


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_state_folder_that_cannot_be_made_is_told_with_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    with pytest.raises(CliError, match="set XDG_STATE_HOME to one of your folders"):
        state_folder()


def test_a_user_without_an_entry_in_passwd_is_told_what_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    database = EmbeddedPostgres(tmp_path, ephemeral=True, shared=tmp_path)
    with pytest.raises(CliError) as refused:
        database.start()
    assert "the user id 54321 has no entry in /etc/passwd" in refused.value.message
    assert "asya:x:54321:0::/tmp:/bin/sh" in refused.value.message
