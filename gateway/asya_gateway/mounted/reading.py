"""Reads a file or folder consistently, whoever is just writing it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Content = TypeVar("Content")

_TRIES = 5
_SETTLE = 0.1
"""Seconds between two readings of a file that may just be written."""


class NothingMounted(Exception):
    """There is no such file or folder, or it is empty. The message says which."""


def read_settled(path: Path, read: Callable[[Path], Content], is_known: Callable[[Content], bool]) -> Content:
    """What `read` finds. It blocks, so call it in a thread. Raises NothingMounted.

    A content that is not known is read again until two readings agree, because an editor may just be writing it.
    kubelet needs no such check: it swaps the whole folder by one symbolic link, which is followed once.
    """
    for _ in range(_TRIES):
        base = _generation_of(path)
        try:
            found = read(base or path)
        except FileNotFoundError:
            # The folder was swapped during the read, and its old generation was deleted.
            time.sleep(_SETTLE)
            continue
        except OSError as error:
            raise NothingMounted(f"{path}: {error.strerror or error}") from None
        if is_known(found) or base is not None or _settled(path, read, found):
            return found
    raise NothingMounted(f"{path}: {'it keeps changing' if path.exists() else 'no such file or folder'}")


def read_file(path: Path, most_bytes: int) -> bytes:
    """One file, and at most one byte more than allowed; decoding then refuses it with the reason."""
    with path.open("rb") as file:
        return file.read(most_bytes + 1)


def _settled(path: Path, read: Callable[[Path], Content], found: Content) -> bool:
    time.sleep(_SETTLE)
    try:
        return read(path) == found
    except OSError:
        return False


def _generation_of(path: Path) -> Path | None:
    """The folder behind kubelet's `..data`, which contains one generation of a ConfigMap."""
    link = path / "..data"
    try:
        return link.resolve(strict=True) if link.is_symlink() else None
    except OSError:
        return None
