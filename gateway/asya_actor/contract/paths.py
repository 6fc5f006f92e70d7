"""The paths of the verbs GET, SET and DEL: `.route.next`, `.headers["x-key"]`, `.status.list[0]`, `.route.next[:0]`.

A path is one or more steps: `.name`, `["name"]`, `[index]` (negative ones count from the end). With SET, the last step
may be a slice `[start:stop]`, which replaces that part of a list: `[:0]` prepends, `[999:]` appends.
"""

import re
from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext

Step = str | int | slice

_STEP = re.compile(
    r"""
      \.(?P<name>[^.\[\]\s"']+)
    | \[\s*(?P<quoted>"(?:[^"\\]|\\.)*"|'[^'\\]*')\s*\]
    | \[\s*(?P<index>-?\d{1,18})\s*\]
    | \[\s*(?P<start>-?\d{1,18})?\s*:\s*(?P<stop>-?\d{1,18})?\s*\]
    """,
    re.VERBOSE | re.ASCII,
)


def parse_path(path: object) -> tuple[Step, ...]:
    """The steps of a path: at least one, the first a name. Raises TypeError or ValueError with the problem."""
    if not isinstance(path, str):
        raise TypeError(f"expected a path such as .route.next, got {type(path).__name__}")
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f'bad path {path!r} at character {position}: expected .name, ["name"], [index] or [a:b]')
        steps.append(_step(match, path))
        position = match.end()
    if not steps or not isinstance(steps[0], str):
        raise ValueError(f"bad path {path!r}: expected it to begin with a name, as .route or .headers")
    if any(isinstance(step, slice) for step in steps[:-1]):
        raise ValueError(f"bad path {path!r}: a slice may only be the last step")
    return tuple(steps)


def _step(match: re.Match[str], path: str) -> Step:
    if (name := match["name"]) is not None:
        return str(name)
    if (quoted := match["quoted"]) is not None:
        try:
            return str(jsontext.loads(quoted)) if quoted.startswith('"') else str(quoted[1:-1])
        except ValueError:
            raise ValueError(f"bad path {path!r}: {quoted} is not a JSON string") from None
    if (index := match["index"]) is not None:
        return int(index)
    start, stop = match["start"], match["stop"]
    return slice(None if start is None else int(start), None if stop is None else int(stop))


def read(root: Any, steps: Sequence[Step]) -> Any:
    """The value at the path. Raises KeyError, IndexError, TypeError, and ValueError for a slice."""
    for number, step in enumerate(steps):
        if isinstance(step, slice):
            raise ValueError(f"{show(steps)}: slices are supported by SET only")
        root = _enter(root, step, steps[: number + 1])
    return root


def write(root: Any, steps: Sequence[Step], value: Any) -> None:
    """Set the value at the path; its parent must exist. Raises KeyError, IndexError, TypeError."""
    holder, last = read(root, steps[:-1]), steps[-1]
    match last:
        case slice():
            if not isinstance(holder, list):
                raise TypeError(f"{show(steps)}: a slice needs a list, got {_kind(holder)}")
            if not isinstance(value, list):
                raise TypeError(f"{show(steps)}: a slice is set to a list, not to {_kind(value)}")
            holder[last] = value
        case int():
            _enter(holder, last, steps)
            holder[last] = value
        case str():
            if not isinstance(holder, dict):
                raise TypeError(f"{show(steps)}: expected an object, got {_kind(holder)}")
            holder[last] = value


def delete(root: Any, steps: Sequence[Step]) -> None:
    """Remove the value at the path. Raises KeyError, IndexError, TypeError, and ValueError for a slice."""
    holder, last = read(root, steps[:-1]), steps[-1]
    if isinstance(last, slice):
        raise ValueError(f"{show(steps)}: slices are supported by SET only")
    _enter(holder, last, steps)
    del holder[last]


def show(steps: Sequence[Step]) -> str:
    """The path as a user would write it."""
    return "".join(_show(step) for step in steps)


def _show(step: Step) -> str:
    match step:
        case str():
            return f".{step}" if re.fullmatch(r"[^.\[\]\s\"']+", step, re.ASCII) else f"[{jsontext.canonical(step)}]"
        case int():
            return f"[{step}]"
        case slice():
            start, stop = step.start, step.stop
            return f"[{'' if start is None else start}:{'' if stop is None else stop}]"


def _enter(holder: Any, step: str | int, so_far: Sequence[Step]) -> Any:
    if isinstance(step, str):
        if not isinstance(holder, dict):
            raise TypeError(f"{show(so_far)}: expected an object, got {_kind(holder)}")
        if step not in holder:
            raise KeyError(f"{show(so_far)}: no such key")
        return holder[step]
    if not isinstance(holder, list):
        raise TypeError(f"{show(so_far)}: expected a list, got {_kind(holder)}")
    if not -len(holder) <= step < len(holder):
        raise IndexError(f"{show(so_far)}: the list has {len(holder)} items")
    return holder[step]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
