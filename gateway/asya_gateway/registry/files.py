"""Reads the mounted file or folder of flows consistently."""

from dataclasses import dataclass
from pathlib import Path

from asya_crds.flows_file import content_hash, is_flows_key
from asya_crds.yaml_text import MAX_BYTES
from asya_gateway.mounted.reading import NothingMounted, read_file, read_settled

MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class Mounted:
    """The text of every file that is read, by name, and their common hash."""

    texts: dict[str, bytes]
    hash: str


def read_mounted(path: Path, known: str | None = None) -> Mounted:
    """Read the current content. It blocks, so call it in a thread. `known` is the hash that the caller has. Raises
    NothingMounted."""
    return read_settled(path, _read, lambda found: found.hash == known)


def _read(path: Path) -> Mounted:
    if path.is_file():
        # The name is used as the ConfigMap's key, whatever the file's extension.
        name = path.name if is_flows_key(path.name) else f"{path.name.lstrip('.')}.yaml"
        texts = {name: read_file(path, MAX_BYTES)}
    elif path.is_dir():
        names = sorted(entry.name for entry in path.iterdir() if is_flows_key(entry.name) and entry.is_file())
        if not names:
            raise NothingMounted(f"{path}: no *.yaml in this folder; write `flows: []` into one to expose no flows")
        if len(names) > MAX_FILES:
            raise NothingMounted(f"{path}: expected at most {MAX_FILES} files")
        texts = {name: read_file(path / name, MAX_BYTES) for name in names}
    else:
        raise FileNotFoundError(str(path))
    return Mounted(texts, content_hash(texts))
