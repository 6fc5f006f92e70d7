"""The mounted file or folder of flows, read as it stands at one moment."""

import time
from dataclasses import dataclass
from pathlib import Path

from asya_crds.flows_file import content_hash, is_flows_key
from asya_crds.yaml_text import MAX_BYTES

MAX_FILES = 1000
_TRIES = 5
_SETTLE = 0.1
"""Seconds between two readings of a file that somebody may be writing just now."""


class NothingMounted(Exception):
    """There is no such file or folder, or nothing in it; the message says which."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """The text of every file that counts, by name, and their common hash."""

    texts: dict[str, bytes]
    hash: str


def read_mounted(path: Path, known: str | None = None) -> Mounted:
    """What is there now; blocks, so call it in a thread. Raises NothingMounted.

    `known` is the hash that the caller has: a text that differs is read twice and taken only once both readings
    agree, since an editor may be half-way through it. kubelet needs no such care: it swaps the whole folder by one
    symbolic link, which is followed once.
    """
    for _ in range(_TRIES):
        base = _generation_of(path)
        try:
            found = _read(base or path)
        except FileNotFoundError:
            # The folder was swapped while it was read, and its old generation deleted.
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
    """The folder behind kubelet's `..data`, which holds one generation of a ConfigMap."""
    link = path / "..data"
    try:
        return link.resolve(strict=True) if link.is_symlink() else None
    except OSError:
        return None


def _read(path: Path) -> Mounted:
    if path.is_file():
        # The name counts as the ConfigMap's key, whatever the file's ending.
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
    """At most one byte more than is allowed: reading refuses it with the reason."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
