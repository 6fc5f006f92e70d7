"""The mounted file as kubelet, editors and people leave it."""

from pathlib import Path

import pytest

from asya_gateway.mounted.reading import NothingMounted
from asya_gateway.registry.files import read_mounted


def mount(folder: Path, generation: str, **texts: str) -> None:
    """What kubelet does: a new folder, then one rename of the link `..data`."""
    data = folder / f"..{generation}"
    data.mkdir()
    for name, text in texts.items():
        (data / f"{name}.yaml").write_text(text)
        if not (folder / f"{name}.yaml").is_symlink():
            (folder / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(data.name)
    fresh.replace(folder / "..data")


def test_a_swapped_configmap_is_read_as_a_whole(tmp_path: Path) -> None:
    mount(tmp_path, "one", a="flows: []", b="flows: []")
    first = read_mounted(tmp_path)
    mount(tmp_path, "two", a="flows: [1]", b="flows: [2]")
    second = read_mounted(tmp_path, first.hash)
    assert first.texts == {"a.yaml": b"flows: []", "b.yaml": b"flows: []"}
    assert second.texts == {"a.yaml": b"flows: [1]", "b.yaml": b"flows: [2]"}
    assert first.hash != second.hash


def test_a_file_and_the_folder_around_it_have_the_same_hash(tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text("flows: []")
    (tmp_path / "notes.txt").write_text("x")
    assert read_mounted(tmp_path).hash == read_mounted(tmp_path / "flows.yaml").hash


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingMounted, match="no such file"):
        read_mounted(tmp_path / "none.yaml")


def test_an_empty_folder_counts_as_missing(tmp_path: Path) -> None:
    with pytest.raises(NothingMounted, match=r"no \*.yaml"):
        read_mounted(tmp_path)


def test_a_file_that_keeps_changing_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text("flows:")

    def write_on(_seconds: float) -> None:
        with path.open("a") as file:
            file.write("\n- x")

    monkeypatch.setattr("asya_gateway.mounted.reading.time.sleep", write_on)
    with pytest.raises(NothingMounted, match="keeps changing"):
        read_mounted(path)


def test_a_file_that_is_being_written_is_read_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text("flows: [{name: a, ")
    monkeypatch.setattr(
        "asya_gateway.mounted.reading.time.sleep", lambda _: path.write_text("flows: [{name: a, entrypoint: b}]")
    )
    assert read_mounted(path).texts["flows.yaml"] == b"flows: [{name: a, entrypoint: b}]"
