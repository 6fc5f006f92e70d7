"""Reads the mounted file or folder of flows consistently."""

import time
from dataclasses import dataclass
from pathlib import Path

from asya_crds.flows_file import content_hash, is_flows_key
from asya_crds.yaml_text import MAX_BYTES

MAX_FILES = 1000
_TRIES = 5
_SETTLE = 0.1
"""Seconds between two readings of a file that may just be written."""


class NothingMounted(Exception):
    """There is no such file or folder, or it is empty. The message says which."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """The text of every file that is read, by name, and their common hash."""

    texts: dict[str, bytes]
    hash: str


def read_mounted(path: Path, known: str | None = None) -> Mounted:
    """Read the current content. It blocks, so call it in a thread. Raises NothingMounted.

    `known` is the hash that the caller has. A different text is read again until two readings agree, because an editor
    may just be writing it. kubelet needs no such check: it swaps the whole folder by one symbolic link, which is
    followed once.
    """
    for _ in range(_TRIES):
        base = _generation_of(path)
        try:
            found = _read(base or path)
        except FileNotFoundError:
            # The folder was swapped during the read, and its old generation was deleted.
            time.sleep(_SETTLE)
            continue
        except OSError as error:
            raise NothingMounted(f"{path}: {error.strerror or error}") from None
        if found.hash == known or base is not None or _settled(path, found):
            return found
    raise NothingMounted(f"{path}: {'it keeps changing' if path.exists() else 'no such file or folder'}")


def _settled(path: Path, found: Mounted) -> bool:
    time.sleep(_SETTLE)
    try:
        return _read(path).hash == found.hash
    except OSError:
        return False


def _generation_of(path: Path) -> Path | None:
    """The folder behind kubelet's `..data`, which contains one generation of a ConfigMap."""
    link = path / "..data"
    try:
        return link.resolve(strict=True) if link.is_symlink() else None
    except OSError:
        return None


def _read(path: Path) -> Mounted:
    if path.is_file():
        # The name is used as the ConfigMap's key, whatever the file's extension.
        name = path.name if is_flows_key(path.name) else f"{path.name.lstrip('.')}.yaml"
        texts = {name: _text(path)}
    elif path.is_dir():
        names = sorted(entry.name for entry in path.iterdir() if is_flows_key(entry.name) and entry.is_file())
        if not names:
            raise NothingMounted(f"{path}: no *.yaml in this folder; write `flows: []` into one to expose no flows")
        if len(names) > MAX_FILES:
            raise NothingMounted(f"{path}: expected at most {MAX_FILES} files")
        texts = {name: _text(path / name) for name in names}
    else:
        raise FileNotFoundError(str(path))
    return Mounted(texts, content_hash(texts))


def _text(path: Path) -> bytes:
    """Read at most one byte more than allowed; decoding then refuses it with the reason."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
