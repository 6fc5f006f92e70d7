"""Documents with so many values that decoding would block the event loop. They are counted first, then decoded in
another process.

The number of values decides what decoding, checking and encoding cost, and how much memory the decoded form takes (9
MiB of empty lists become 223 MiB). The number of bytes says little.
"""

import re
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import is_envelope
from asya_crds.offloading import Offload, function_named

FEW_VALUES = 20_000
"""A document of at most this many values is decoded in place, which takes some milliseconds."""
MAX_VALUES = 1_000_000
"""A document of more values is refused."""
WORTH_A_TEXT = 2048
"""A part of at least this many bytes is cut out of its document. Decoding and encoding a smaller one again costs
less."""
NAMED = 20
"""How many omitted members are listed by name."""
_CONTAINERS = (dict, list)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, also an unterminated one. If that did not match, each quote in it would be tried as the start of another
string, and a megabyte could take minutes."""


class TooManyValues(ValueError):
    """The document holds more values than are accepted."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected at most {limit} values in the document")


class Encoded(str):
    """JSON text in place of the value it encodes: a part of a large document that is not decoded here."""

    __slots__ = ("shape",)
    shape: str
    """`envelope`, `object`, `objects` (a list of them), `list` or `other`."""

    @classmethod
    def of(cls, text: str, shape: str) -> "Encoded":
        """The text of a value of this shape."""
        made = cls(text)
        made.shape = shape
        return made


def encode(value: Any) -> str:
    """JSON text of a value, which may be Encoded already."""
    return str(value) if isinstance(value, Encoded) else jsontext.dumps(value)


def with_texts(body: bytes, names: Collection[str], *, max_depth: int = jsontext.MAX_DEPTH) -> Any:
    """A document of few values. The named members of an object are Encoded (the document's own text) where that is
    cheaper than encoding them again. Raises jsontext.InvalidJSON."""
    if len(body) < WORTH_A_TEXT or not names:
        return jsontext.loads(body, max_depth=max_depth)
    value, texts = jsontext.loads_parts(body, names, max_depth=max_depth)
    for name, text in texts.items():
        # null, numbers and booleans stay decoded.
        if (part := value[name]) and isinstance(part, dict | list | str):
            value[name] = Encoded.of(text, shape_of(part))
    return value


def has_few_values(body: bytes | str) -> bool:
    """Whether decoding is cheap. Commas and brackets inside strings count too, so the answer may be False in error."""
    if len(body) <= FEW_VALUES:
        return True
    marks = _marks(body) if isinstance(body, bytes) else sum(body.count(mark) for mark in ",[{")
    return marks <= FEW_VALUES


def places(value: Any, limit: int) -> int:
    """The number of values inside a decoded one. Counting stops shortly after the limit."""
    if isinstance(value, dict):
        # Most arguments are flat, and need no lists of levels.
        for child in value.values():
            if isinstance(child, _CONTAINERS):
                break
        else:
            return 1 + len(value)
    count, level = 1, [value] if isinstance(value, _CONTAINERS) else []
    while level and count <= limit:
        inner: list[Any] = []
        for node in level:
            inner += node.values() if isinstance(node, dict) else node
        count += len(inner)
        if count > limit:
            break
        level = [node for node in inner if isinstance(node, _CONTAINERS)]
    return count


def count_values(body: bytes, limit: int) -> None:
    """Raises TooManyValues. Invalid JSON may pass."""
    if _marks(body) > limit and _marks(_STRING.sub(b"", body)) > limit:
        raise TooManyValues(limit)


def _marks(body: bytes) -> int:
    """An upper bound on the number of values: each one but the first follows a comma or a bracket."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


async def loads(
    body: bytes,
    offload: Offload,
    *,
    max_depth: int = jsontext.MAX_DEPTH,
    max_values: int = MAX_VALUES,
    encoded: Sequence[str] = (),
    cuts: Sequence[str] = (),
    insist: bool = False,
    then: Callable[[Any], Any] | None = None,
    elsewhere: bool = False,
) -> Any:
    """Decode one document; a large one, and with `elsewhere` any one, is decoded in the other process.

    Of a large document, the members named by `encoded` (dotted: data.result) may be Encoded, and `cut` is applied in
    turn to the members named by `cuts` ("" is the whole document). `then`, a function of a module, turns the document
    into the result in the same process; the result consists of plain values, text and bytes. `insist`: see Offload.

    Raises jsontext.InvalidJSON, TooManyValues, OffloadFailed.
    """
    if not elsewhere and has_few_values(body):
        value = jsontext.loads(body, max_depth=max_depth)
        return value if then is None else then(value)
    name = None if then is None else f"{then.__module__}:{then.__name__}"
    run = offload.insist if insist else offload.run
    asked = (body, max_depth, max_values, tuple(encoded), tuple(cuts), name)
    kind, value, texts = await run(f"{__name__}:decoded", *asked)
    match kind:
        case "too many":
            raise TooManyValues(max_values)
        case "invalid":
            raise jsontext.InvalidJSON(value)
        case _:
            pass
    for name, (text, shape) in texts.items():
        parent, last = _parent(value, name)
        parent[last] = Encoded.of(text, shape)
    return value


async def dumps(value: Any, offload: Offload) -> str:
    """Encode one value; one of many values in the other process. Raises what jsontext.dumps raises, OffloadFailed."""
    if places(value, FEW_VALUES) <= FEW_VALUES:
        return jsontext.dumps(value)
    text: str = await offload.run(f"{jsontext.__name__}:{jsontext.dumps.__name__}", value)
    return text


def decoded(
    body: bytes,
    max_depth: int,
    max_values: int,
    encoded: tuple[str, ...],
    cuts: tuple[str, ...] = (),
    then: str | None = None,
) -> tuple[str, Any, dict[str, tuple[str, str]]]:
    """Runs in the other process: returns the document without the named members, and their text and shape. The event
    loop reads the result."""
    try:
        count_values(body, max_values)
        value = jsontext.loads(body, max_depth=max_depth)
    except TooManyValues:
        return "too many", None, {}
    except jsontext.InvalidJSON as error:
        return "invalid", str(error), {}
    texts = {}
    for name in encoded:
        parent, last = _parent(value, name)
        # Only objects and lists, so that null, numbers and booleans stay decoded.
        if isinstance(parent.get(last), dict | list):
            part = parent.pop(last)
            texts[name] = (jsontext.dumps(part), shape_of(part))
    around = {"": value}
    for name in cuts:
        parent, last = _parent(value, name) if name else (around, name)
        if isinstance(parent.get(last), dict):
            parent[last] = cut(parent[last])
    value = around[""]
    return "decoded", value if then is None else function_named(then)(value), texts


def _parent(value: Any, name: str) -> tuple[dict[str, Any], str]:
    """The object that holds the member with this dotted name (an empty one if there is none), and the name's last
    part."""
    *path, last = name.split(".")
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return (value if isinstance(value, dict) else {}), last


def shape_of(value: Any) -> str:
    match value:
        case dict():
            return "envelope" if is_envelope(value) else "object"
        case list():
            return "objects" if all(isinstance(each, dict) for each in value) else "list"
        case _:
            return "other"


def cut(value: dict[str, Any], limit: int = FEW_VALUES) -> dict[str, Any]:
    """The object without the members that would take it beyond `limit` values. Its member `left_out` lists the first
    omitted ones."""
    if places(value, limit) <= limit:
        return value
    kept, left_out, room = {}, [], limit
    for name, member in islice(value.items(), limit):
        if (count := places(member, room)) <= room:
            kept[name] = member
            room -= count
        else:
            left_out.append(name)
    return {**kept, "left_out": left_out[:NAMED]}
