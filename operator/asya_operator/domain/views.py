"""The objects of one kind in the cluster, kept correct by lists because watches lose events.

A watch reports changes one by one, but not what vanished while it was disconnected. So a list is authoritative for
everything older than itself, and an event is authoritative for its object from its resourceVersion on. Resource
versions of one kind are compared as numbers (Kubernetes API concepts, "Resource versions").
"""

from collections.abc import Iterable, Mapping
from typing import Any

Body = Mapping[str, Any]


def version_of(body: Body) -> int:
    """The object's resourceVersion as a number, 0 if it has none."""
    return as_version(body.get("metadata", {}).get("resourceVersion"))


def as_version(text: Any) -> int:
    """A resourceVersion as a number, 0 if it is not one."""
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def age(body: Body) -> tuple[str, str]:
    """A key that sorts the oldest object first. Creation times have a resolution of a second, so the name decides
    between equal ones."""
    return str(body["metadata"].get("creationTimestamp") or ""), body["metadata"]["name"]


class KindView:
    """The objects of one kind in one namespace, by name."""

    def __init__(self) -> None:
        self._objects: dict[str, Body] = {}
        self._gone: dict[str, int] = {}
        self._listed_at = -1

    @property
    def known(self) -> bool:
        """Whether a list has been seen. Before that, an object that is missing here may exist."""
        return self._listed_at >= 0

    @property
    def objects(self) -> dict[str, Body]:
        """A copy of the objects, by name."""
        return dict(self._objects)

    def get(self, name: str) -> Body | None:
        """One object; None if there is none."""
        return self._objects.get(name)

    def seen(self, body: Body) -> bool:
        """Process an event about this object. Returns True if it is news."""
        name, version = body["metadata"]["name"], version_of(body)
        if version <= self._gone.get(name, -1) or (name not in self._objects and version <= self._listed_at):
            return False
        before = self._objects.get(name)
        if before is not None and version_of(before) >= version:
            return False
        self._objects[name] = body
        self._gone.pop(name, None)
        return True

    def deleted(self, body: Body) -> bool:
        """Process the deletion of this object. Returns True if it is news."""
        name, version = body["metadata"]["name"], version_of(body)
        before = self._objects.get(name)
        if before is not None and version_of(before) > version:
            return False
        self._gone[name] = max(version, self._gone.get(name, -1))
        return self._objects.pop(name, None) is not None

    def listed(self, bodies: Iterable[Body], version: int) -> bool:
        """Process a list at `version`: objects that it lacks are gone, unless they are newer. Returns True if anything
        changed."""
        if version < self._listed_at:
            return False
        was_known, before = self.known, self._objects
        self._objects = {}
        for body in bodies:
            name = body["metadata"]["name"]
            if version_of(body) > self._gone.get(name, -1):
                known = before.get(name)
                newer = known is not None and version_of(known) > version_of(body)
                self._objects[name] = known if known is not None and newer else body
        for name, body in before.items():
            if name not in self._objects and version_of(body) > version:
                self._objects[name] = body
        self._gone = {name: gone for name, gone in self._gone.items() if gone > version}
        self._listed_at = version
        return not was_known or _versions(before) != _versions(self._objects)


def _versions(objects: Mapping[str, Body]) -> dict[str, int]:
    return {name: version_of(body) for name, body in objects.items()}
