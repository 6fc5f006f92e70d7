"""Lossless JSON: decoding with limits, encoding without loss.

The standard library's codec is used on purpose. It keeps integers of any size exact and accepts lone surrogates; faster
codecs round the former and refuse the latter.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined] # the C codec's own part
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii  # type: ignore[attr-defined] # the C codec's own parts
from typing import Any, NoReturn

MAX_DEPTH = 100
"""Deeper nesting is refused: no caller needs it, and it could exhaust the stack."""


_LONGEST_STEP = 80
_MOST_SEARCHED = 1_000_000
"""Values that are searched for the place of a mistake. A value that contains itself has no end."""


class InvalidJSON(ValueError):
    """The text is not an acceptable JSON document. The message says why, for the caller to read."""


def loads(text: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode one JSON document (RFC 8259).

    Raises InvalidJSON for bad syntax or encoding, NaN and Infinity, numbers outside the range of a double,
    integers of more than 4,300 digits, and nesting beyond max_depth.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = _decoded(text)
    except RecursionError:
        raise InvalidJSON(f"nested deeper than {max_depth} levels") from None
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(f"invalid JSON: {error}") from None
    except ValueError as error:
        raise InvalidJSON(str(error)) from None
    _check_depth(text, value, max_depth)
    return value


def loads_parts(body: bytes, names: Collection[str], *, max_depth: int = MAX_DEPTH) -> tuple[Any, dict[str, str]]:
    """Decode one document as `loads` does; also returns the original text of the named members of an object. There are
    no texts if the object is written in an unusual way. Raises InvalidJSON."""
    try:
        text = body.decode("utf-8")
        value, texts = _parts(text, names)
    except (ValueError, LookupError, StopIteration, RecursionError):
        return loads(body, max_depth=max_depth), {}
    _check_depth(text, value, max_depth)
    return value, texts


def dumps(value: Any, *, of_other: Callable[[Any], Any] | None = None) -> str:
    """Encode to compact JSON text that UTF-8 can carry; lone surrogates and NUL are written as escapes. `of_other`
    returns what stands for a value that JSON cannot express, or raises TypeError.

    Raises ValueError for NaN, Infinity and values that contain themselves, TypeError for values that JSON cannot
    express. The message begins with the place in the value: `$.a[0]: set is not a JSON value`.
    """
    try:
        text = "".join((_ENCODE if of_other is None else _encoder(of_other))(value, 0))
    except RecursionError:
        raise ValueError("nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(_placed(str(error), value)) from None
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=of_other)
    return text


def quoted(text: str) -> str:
    """JSON text of a string that UTF-8 can carry, such as an id or JSON text; faster than `dumps`."""
    found: str = encode_basestring(text)
    return found


def spaced(value: Any, *, ascii_only: bool = False) -> str:
    """One line as people write it, with a space behind each comma and colon. Characters stay as they are, halves of
    surrogate pairs too; with `ascii_only` all others are escapes. Raises what dumps raises, without the place."""
    return _SPACED[ascii_only].encode(value)


def indented(value: Any, *, ascii_only: bool = False) -> str:
    """As `spaced`, in indented lines."""
    return _INDENTED[ascii_only].encode(value)


def ascii_quoted(text: str) -> str:
    """ASCII text of a JSON string."""
    found: str = encode_basestring_ascii(text)
    return found


def dumps_by_parts(document: Mapping[str, Any]) -> str:
    """As `dumps`, but each member, and each item of a list in one, is encoded by itself: in a thread other threads get
    their turns in between, which the encoder of the whole document would not let them."""
    return "{" + ",".join(f"{dumps(name)}:{_by_items(value)}" for name, value in document.items()) + "}"


def _by_items(value: Any) -> str:
    return "[" + ",".join(map(dumps, value)) + "]" if isinstance(value, list) else dumps(value)


def canonical(value: Any) -> str:
    """ASCII text that is the same for equal JSON values: members sorted by name, numbers as Python writes them (1 and
    1.0 differ). Raises what dumps raises."""
    return _CANONICAL.encode(value)


def _decoded(text: str) -> Any:
    """The document. The scanner alone is enough if nothing surrounds the value; otherwise the decoder says what is
    wrong and where."""
    try:
        value, end = _SCAN(text, 0)
    except StopIteration:
        return _DECODER.decode(text)
    return value if end == len(text) else _DECODER.decode(text)


def _parts(text: str, names: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Raises ValueError, LookupError or StopIteration if the text is not an object, or not one that this can read."""
    found: dict[str, Any] = {}
    texts: dict[str, str] = {}
    end, mark = 0, "{"
    while text[end] == mark:
        end = _past_space(text, end + 1)
        if text[end] != '"':
            raise ValueError("expected a name")
        name, end = scanstring(text, end + 1, True)
        end = _past_space(text, end)
        if text[end] != ":":
            raise ValueError("expected a colon")
        start = _past_space(text, end + 1)
        found[name], end = _SCAN(text, start)
        if name in names:
            texts[name] = text[start:end]
        end, mark = _past_space(text, end), ","
    if text[end] != "}" or not found or _SPACE(text, end + 1).end() != len(text):
        raise ValueError("expected the end")
    return found, texts


def _past_space(text: str, place: int) -> int:
    return _SPACE(text, place).end() if text[place] in " \t\n\r" else place


def _check_depth(text: str, value: Any, max_depth: int) -> None:
    if text.count("[") + text.count("{") > max_depth and deeper_than(value, max_depth):
        raise InvalidJSON(f"nested deeper than {max_depth} levels")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {digits[:40]}")
    return number


def _inexpressible(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _placed(message: str, value: Any) -> str:
    """The encoder's message with the first place that it cannot express, searched in the encoder's order."""
    level: list[tuple[Any, str]] = [(value, "$")]
    for _ in range(_MOST_SEARCHED):
        if not level:
            break
        node, place = level.pop()
        if isinstance(node, dict):
            if not all(key is None or isinstance(key, str | int | float) for key in node):
                return f"{place}: {message}"
            level.extend((child, place + _step(key)) for key, child in reversed(node.items()))
        elif isinstance(node, list | tuple):
            level.extend((child, f"{place}[{index}]") for index, child in reversed(list(enumerate(node))))
        elif isinstance(node, float):
            if not math.isfinite(node):
                return f"{place}: {message}"
        elif not (node is None or isinstance(node, str | int)):
            return f"{place}: {message}"
    return message


def _step(key: object) -> str:
    """One step of a place, shortened because a key may be of any length."""
    text = str(key)
    if text.isidentifier() and len(text) <= _LONGEST_STEP:
        return f".{text}"
    return (
        f"[{json.dumps(text if len(text) <= _LONGEST_STEP else text[: _LONGEST_STEP - 1] + '…', ensure_ascii=False)}]"
    )


def deeper_than(value: Any, limit: int) -> bool:
    """Whether objects and lists are nested deeper than the limit. Walks level by level, so it cannot exhaust the
    stack."""
    level = [value]
    for _ in range(limit + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> list[Any]:
    match node:
        case dict():
            return [child for child in node.values() if isinstance(child, dict | list)]
        case list():
            return [child for child in node if isinstance(child, dict | list)]
        case _:
            return []


_CANONICAL = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
_SPACED = {each: json.JSONEncoder(allow_nan=False, ensure_ascii=each) for each in (False, True)}
_INDENTED = {each: json.JSONEncoder(allow_nan=False, ensure_ascii=each, indent=2) for each in (False, True)}
# json.loads and JSONEncoder.encode create these on every call, which costs more than a small document itself.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_SCAN = _DECODER.scan_once  # type: ignore[attr-defined] # the scanner itself, as raw_decode calls it
_SPACE: Callable[[str, int], re.Match[str]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment] # it matches nothing, too


def _encoder(of_other: Callable[[Any], Any]) -> Callable[[Any, int], tuple[str, ...]]:
    made: Callable[[Any, int], tuple[str, ...]] = c_make_encoder(
        None, of_other, encode_basestring, None, ":", ",", False, False, False
    )
    return made


_ENCODE = _encoder(_inexpressible)
