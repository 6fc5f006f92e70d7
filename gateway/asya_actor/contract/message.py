"""The message as a handler sees it (id, parent_id, route, headers, status), and the verbs that read and change it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asya_actor.contract import paths
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route

_WRITABLE = (("route", "next"), ("headers",), ("status",))


@dataclass(frozen=True, slots=True)
class Frame:
    """One payload that a handler sends, with route, headers and status at that time.

    The route is not shifted yet: `curr` is the actor that created the frame.
    """

    payload: Any
    route: Route
    headers: dict[str, Any]
    status: dict[str, Any]
    text: str = field(default="", compare=False)
    """The payload as JSON."""


class HandlerMessage:
    """One handler call's view of its envelope. It is not shared between calls. Changes affect the frames created
    afterwards."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._seen: dict[str, Any] | None = None
        self._route: Route | None = envelope.route

    @property
    def _data(self) -> dict[str, Any]:
        """Made when the handler first looks: most never do."""
        if self._seen is None:
            envelope = self._envelope
            self._seen = {
                "id": envelope.id,
                "parent_id": envelope.parent_id,
                "route": envelope.route.as_dict(),
                "headers": _copied(dict(envelope.headers)),
                "status": _copied(dict(envelope.status)),
            }
        return self._seen

    def get(self, path: object) -> Any:
        """A deep copy of the value at the path. Raises KeyError, IndexError, TypeError, ValueError."""
        return _copied(paths.read(self._data, paths.parse_path(path)))

    def set(self, path: object, value: object) -> None:
        """Change `.route.next`, `.headers` or `.status`, whole or in part.

        Raises PermissionError for other paths, TypeError or ValueError for values that JSON or a route cannot contain.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        changed = _copied(self._data)
        paths.write(changed, steps, jsontext.loads(jsontext.dumps(value)))
        _check(changed)
        self._seen, self._route = changed, None

    def delete(self, path: object) -> None:
        """Remove a part of `.route.next`, `.headers` or `.status`; each of these three itself is emptied.

        Raises what `set` raises, and KeyError or IndexError if there is no value at the path.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        self._route = None
        if steps in _WRITABLE:
            paths.write(self._data, steps, [] if steps == ("route", "next") else {})
        else:
            paths.delete(self._data, steps)

    @property
    def route(self) -> Route:
        """The route with the handler's changes so far."""
        if self._route is None:
            self._route = Route.from_dict(self._data["route"])
        return self._route

    def frame(self, payload: Any) -> Frame:
        """A frame with a copy of the payload, independent of later changes by the handler, and the current message.
        Raises TypeError or ValueError if the payload is not JSON.
        """
        text = jsontext.dumps(payload)
        if self._seen is None:
            # Nobody changes an envelope in place, so the frame may refer to parts of it.
            headers, status = dict(self._envelope.headers), dict(self._envelope.status)
        else:
            headers, status = _copied(self._seen["headers"]), _copied(self._seen["status"])
        return Frame(payload=jsontext.loads(text), route=self.route, headers=headers, status=status, text=text)


def _copied(value: Any) -> Any:
    """A copy of a JSON value. `copy.deepcopy` would also keep track of what refers to itself, at several times the
    cost."""
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    if kind is list:
        return [_copied(item) for item in value]
    return value


def _require_writable(steps: Sequence[paths.Step]) -> None:
    if not any(tuple(steps[: len(prefix)]) == prefix for prefix in _WRITABLE):
        raise PermissionError(
            f"{paths.show(steps)} is read-only; a handler may change .route.next, .headers and .status"
        )


def _check(data: dict[str, Any]) -> None:
    names = data["route"]["next"]
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise TypeError(".route.next: expected a list of actor names")
    for key in ("headers", "status"):
        if not isinstance(data[key], dict):
            raise TypeError(f".{key}: expected an object")
