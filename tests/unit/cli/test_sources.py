"""A change of a folder's handlers is noticed; changes of other files are not."""

import asyncio
import os
from pathlib import Path

from asya_cli.dev.sources import changed, fingerprint


def write(path: Path, text: str, *, age: int = 0) -> None:
    """A file whose time lies `age` nanoseconds apart from now, since two writes may fall into one tick."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + age))


def test_python_files_at_every_depth_and_actors_yaml_are_sources(tmp_path: Path) -> None:
    for name in ("handlers.py", "deep/er/more.py", "actors.yaml"):
        write(tmp_path / name, "x")
    for name in (".venv/lib/a.py", "__pycache__/b.py", "env/c.py", "flows.yaml", "notes.txt"):
        write(tmp_path / name, "x")
    write(tmp_path / "env" / "pyvenv.cfg", "")
    names = {str(path.relative_to(tmp_path)) for path in fingerprint(tmp_path)}
    assert names == {"handlers.py", "deep/er/more.py", "actors.yaml"}


def test_a_linked_package_is_a_source_but_a_circular_link_or_a_link_to_data_is_not(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    write(elsewhere / "package" / "__init__.py", "x")
    write(elsewhere / "package" / "deep" / "more.py", "x")
    write(elsewhere / "data" / "deep" / "never.py", "x")
    write(project / "handlers.py", "x")
    for name in ("package", "data"):
        (project / name).symlink_to(elsewhere / name)
    (elsewhere / "package" / "back").symlink_to(project)
    (project / "gone").symlink_to(tmp_path / "nowhere")
    names = {str(path.relative_to(project)) for path in fingerprint(project)}
    assert names == {"handlers.py", "package/__init__.py", "package/deep/more.py"}


async def test_a_changed_a_new_and_a_removed_file_are_told(tmp_path: Path) -> None:
    write(tmp_path / "handlers.py", "old")
    write(tmp_path / "gone.py", "x")
    known = fingerprint(tmp_path)
    write(tmp_path / "handlers.py", "new", age=1_000_000)
    write(tmp_path / "fresh.py", "x")
    (tmp_path / "gone.py").unlink()
    async with asyncio.timeout(10):
        found, files = await changed(tmp_path, known)
    assert [path.name for path in files] == ["fresh.py", "gone.py", "handlers.py"]
    assert found == fingerprint(tmp_path)
