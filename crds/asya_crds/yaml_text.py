"""YAML read as plain JSON values with their line numbers.

The program passes PyYAML in (`Yaml(CSafeLoader, YAMLError)`). So this package depends on pydantic only, and gateway,
operator and CLI still read flows.yaml with the same code.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 60
"""libyaml's binding composes recursively and crashes the process on deep nesting, so the depth is counted first."""
MAX_VALUES = 500_000
"""Most values after aliases are expanded. Otherwise a few lines of nested aliases could fill the memory."""

Path = tuple[str | int, ...]


class Node(Protocol):
    """A node, as yaml.Node. The value of a scalar is its text; otherwise it is a list of nodes, or of pairs of
    nodes."""

    tag: str
    value: Any
    start_mark: Any


class Loader(Protocol):
    """The methods of yaml.SafeLoader and yaml.CSafeLoader that are used here."""

    def check_event(self) -> bool: ...
    def get_event(self) -> Any: ...
    def get_single_node(self) -> Any: ...
    def construct_object(self, node: Any) -> Any: ...
    def dispose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Yaml:
    """The parser: yaml.CSafeLoader and yaml.YAMLError."""

    loader: Callable[[str], Loader]
    error: type[Exception]


class Unreadable(Exception):
    """The text is not usable YAML; `line` counts from 1."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Mistake:
    """A place with valid YAML that is not a JSON value. It is read as null."""

    path: Path
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The value, the mistakes in it, and its line numbers."""

    value: Any
    mistakes: tuple[Mistake, ...] = ()
    root: Node | None = None

    def line(self, path: Path) -> int | None:
        """Line (from 1) of the value at the path, or of the last part of the path that exists.

        A key is also found under its other spelling: input_schema for inputSchema.
        """
        node, line = self.root, None
        if node is None:
            return None
        line = node.start_mark.line + 1
        for part in path:
            found = _step(node, part)
            if found is None:
                break
            node, line = found
        return line


def parse(text: str, yaml: Yaml) -> YamlDocument:
    """Read one YAML document. Raises Unreadable if it is not YAML, too large or too deep.

    Keys become text as written, and dates stay text. Repeated keys, NaN and tags outside JSON are mistakes.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Unreadable(f"expected at most {MAX_BYTES} bytes")
    try:
        _check_depth(yaml.loader(text))
        loader = yaml.loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return YamlDocument(None)
            builder = _Builder(loader)
            value = builder.build(root, ()).value
        finally:
            loader.dispose()
    except yaml.error as error:
        raise Unreadable(_reason(error), _line(error)) from None
    return YamlDocument(value, tuple(builder.mistakes), root)


def _check_depth(loader: Loader) -> None:
    depth = 0
    try:
        while loader.check_event():
            event = loader.get_event()
            kind = type(event).__name__
            if kind in ("MappingStartEvent", "SequenceStartEvent"):
                depth += 1
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                depth -= 1
            if depth > MAX_DEPTH:
                raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", event.start_mark.line + 1)
    finally:
        loader.dispose()


class _Built(NamedTuple):
    value: Any
    size: int = 1
    depth: int = 1


@dataclass
class _Builder:
    loader: Loader
    mistakes: list[Mistake] = field(default_factory=list)
    _done: dict[int, _Built] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _merged_values: int = 0

    def build(self, node: Node, path: Path) -> _Built:
        key = id(node)
        if key in self._done:
            return self._done[key]
        if key in self._open:
            raise Unreadable("an alias contains itself", node.start_mark.line + 1)
        self._open.add(key)
        built = self._fresh(node, path)
        self._open.discard(key)
        if built.size > MAX_VALUES or built.depth > MAX_DEPTH:
            raise Unreadable(
                f"expected at most {MAX_VALUES} values in {MAX_DEPTH} levels once aliases are followed",
                node.start_mark.line + 1,
            )
        self._done[key] = built
        return built

    def _fresh(self, node: Node, path: Path) -> _Built:
        match node.tag:
            case "tag:yaml.org,2002:map" if _has_members(node):
                return self._mapping(node, path)
            case "tag:yaml.org,2002:seq" if _has_items(node):
                parts = [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
                return _collected([part.value for part in parts], parts)
            case _ if isinstance(node.value, str):
                return _Built(self._scalar(node, path))
            case _:
                return _Built(self._wrong(node, path, f"unknown tag {node.tag}"))

    def _mapping(self, node: Node, path: Path) -> _Built:
        parts: dict[str, _Built] = {}
        merged: dict[str, _Built] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node.value, str):
                self._wrong(key_node, path, "expected text as a key")
                continue
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**self._merge(value_node, path), **merged}
            elif key in parts:
                self._wrong(key_node, (*path, key), "the key occurs twice")
            else:
                parts[key] = self.build(value_node, (*path, key))
        together = {**merged, **parts}
        return _collected({key: part.value for key, part in together.items()}, together.values())

    def _merge(self, node: Node, path: Path) -> dict[str, _Built]:
        """`<<: *base` or `<<: [*one, *two]`, the earlier one winning."""
        sources = node.value if node.tag == "tag:yaml.org,2002:seq" and _has_items(node) else [node]
        merged: dict[str, _Built] = {}
        for source in sources:
            built = self.build(source, path)
            # Merging the same mapping a thousand times gives no larger value but a thousand times the work.
            self._merged_values += built.size
            if self._merged_values > MAX_VALUES:
                raise Unreadable(f"expected at most {MAX_VALUES} merged values", source.start_mark.line + 1)
            if not isinstance(built.value, dict):
                self._wrong(source, path, "expected a mapping after <<")
                continue
            for key, value in built.value.items():
                merged.setdefault(key, _Built(value, built.size, built.depth))
        return merged

    def _scalar(self, node: Node, path: Path) -> Any:
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "timestamp" | "value":
                return node.value
            case "null" | "bool" | "int" | "float":
                try:
                    value = self.loader.construct_object(node)
                except (ValueError, LookupError):  # the latter of `!!bool maybe` and `!!int ""`
                    return self._wrong(node, path, f"expected a {node.tag.rpartition(':')[2]}")
                if isinstance(value, float) and not math.isfinite(value):
                    return self._wrong(node, path, "NaN and infinity are not JSON numbers")
                return value
            case _:
                return self._wrong(node, path, f"unknown tag {node.tag}")

    def _wrong(self, node: Node, path: Path, reason: str) -> Any:
        """Record the mistake; the value is read as null."""
        self.mistakes.append(Mistake(path, reason, node.start_mark.line + 1))
        return None


def _has_items(node: Node) -> bool:
    """Whether this is a list. A tag may say so of anything (`!!seq text`, `!!seq {a: 1}`)."""
    return isinstance(node.value, list) and not any(isinstance(each, tuple) for each in node.value)


def _has_members(node: Node) -> bool:
    """Whether this is a mapping."""
    return isinstance(node.value, list) and all(isinstance(each, tuple) for each in node.value)


def _collected(value: Any, parts: Any) -> _Built:
    parts = list(parts)
    return _Built(value, 1 + sum(part.size for part in parts), 1 + max((part.depth for part in parts), default=0))


def _step(node: Node, part: str | int) -> tuple[Node, int] | None:
    """The child and the line where it begins; for a member, the line of its key."""
    if not isinstance(node.value, list):
        return None
    if _has_items(node):
        if isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part].start_mark.line + 1
        return None
    for key, value in _members(node):
        if _plain(key.value) == _plain(part):
            return value, key.start_mark.line + 1
    return None


def _members(node: Node) -> Iterator[tuple[Node, Node]]:
    for pair in node.value:
        if isinstance(pair, tuple) and isinstance(pair[0].value, str):
            yield pair


def _plain(key: object) -> str:
    return str(key).replace("_", "").lower()


def _reason(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    context = getattr(error, "context", None)
    return f"not YAML: {context}: {problem}" if context else f"not YAML: {problem}"


def _line(error: Exception) -> int | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return None if mark is None else mark.line + 1
