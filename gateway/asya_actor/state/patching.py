"""Replaces `open` and functions of `os` for paths below a mount, and only for these."""

import builtins
import functools
import io
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from asya_actor.state.connector import Connectors
from asya_actor.state.folder import Folder
from asya_actor.state.mounts import MountedPath, StateMount, locate
from asya_actor.state.opening import open_state

log = logging.getLogger(__name__)

_SUPPORTS = ("supports_dir_fd", "supports_fd", "supports_follow_symlinks", "supports_effective_ids")
"""Sets in `os` from which the standard library learns which arguments a function supports."""

Undo = Callable[[], None]


def install(mounts: Sequence[StateMount], connectors: Connectors) -> Undo:
    """Replace the functions in all threads. Import the handlers' modules afterwards, because `from os import stat`
    keeps the function it found. Returns a function that undoes it."""
    folder = Folder(connectors)
    undo: list[Undo] = []
    for module in (builtins, io):  # the same function; pathlib uses io.open
        _replace(undo, mounts, module, "open", ("file",), functools.partial(open_state, connectors))
    for name, paths, ours in folder.functions():
        if hasattr(os, name):  # some exist on Linux only
            _replace(undo, mounts, os, name, paths, ours)
    log.info("state: %s", ", ".join(f"{mount.path} ({mount.name}, {mount.write})" for mount in mounts))

    def take_back() -> None:
        for one in reversed(undo):
            one()

    return take_back


def _replace(
    undo: list[Undo],
    mounts: Sequence[StateMount],
    module: Any,
    name: str,
    paths: Sequence[str],
    ours: Callable[..., Any],
) -> None:
    original = getattr(module, name)
    hooked = _hooked(original, mounts, paths, ours)
    setattr(module, name, hooked)
    undo.append(functools.partial(setattr, module, name, original))
    for kind in _SUPPORTS:
        functions = getattr(os, kind)
        if original in functions:
            functions.add(hooked)
            undo.append(functools.partial(functions.discard, hooked))


def _hooked(
    original: Callable[..., Any], mounts: Sequence[StateMount], paths: Sequence[str], ours: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def hooked(*args: Any, **kwargs: Any) -> Any:
        place = _place(mounts, paths, args, kwargs)
        if place is None:
            return original(*args, **kwargs)
        rest = {key: value for key, value in kwargs.items() if key != paths[0]}
        return ours(place, *args[1:], **rest)

    return hooked


def _place(
    mounts: Sequence[StateMount], paths: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any]
) -> MountedPath | None:
    """The first path of the call (its first parameters, with these names) that is below a mount.

    A path relative to an open folder is never below a mount, because folders of a mount cannot be opened.
    """
    if any(kwargs.get(key) is not None for key in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
        return None
    for index, name in enumerate(paths):
        place = locate(mounts, args[index] if index < len(args) else kwargs.get(name))
        if place is not None:
            return place
    return None
