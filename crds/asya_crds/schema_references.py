"""The targets of `$ref` and `$dynamicRef` within one document of JSON Schema 2020-12, as the engine finds them."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

REFERENCES = ("$ref", "$dynamicRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")


class References:
    """Targets in the document `root`."""

    def __init__(self, root: Any) -> None:
        self._root = root

    def targets(self, reference: str) -> list[Any]:
        """The target of a JSON Pointer (RFC 6901, section 6, as a URI fragment), or everything with an anchor of that
        name: which one counts may depend on the value. [] if there is none, or if it is in another document."""
        if not reference.startswith("#"):
            return []
        if len(reference) == 1 or reference.startswith("#/"):
            return self._pointed(unquote(reference[1:]))
        return self._anchors.get(reference[1:], [])

    def _pointed(self, pointer: str) -> list[Any]:
        found = self._root
        for step in pointer.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                return []
        return [found]

    @cached_property
    def _anchors(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for part in _objects(self._root):
            for name in {part[word] for word in _ANCHORS if isinstance(part.get(word), str)}:
                found.setdefault(name, []).append(part)
        return found


def _objects(root: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
