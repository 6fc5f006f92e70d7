"""The message as a handler sees it (id, parent_id, route, headers, status), and the verbs that read and change it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
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


class HandlerMessage:
    """One handler call's view of its envelope. It is not shared between calls. Changes affect the frames created
    afterwards."""

    def __init__(self, envelope: Envelope) -> None:
        self._data: dict[str, Any] = {
            "id": envelope.id,
            "parent_id": envelope.parent_id,
            "route": envelope.route.as_dict(),
            "headers": copy.deepcopy(dict(envelope.headers)),
            "status": copy.deepcopy(dict(envelope.status)),
        }

    def get(self, path: object) -> Any:
        """A deep copy of the value at the path. Raises KeyError, IndexError, TypeError, ValueError."""
        return copy.deepcopy(paths.read(self._data, paths.parse_path(path)))

    def set(self, path: object, value: object) -> None:
        """Change `.route.next`, `.headers` or `.status`, whole or in part.

        Raises PermissionError for other paths, TypeError or ValueError for values that JSON or a route cannot contain.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        changed = copy.deepcopy(self._data)
        paths.write(changed, steps, jsontext.loads(jsontext.dumps(value)))
        _check(changed)
        self._data = changed

    def delete(self, path: object) -> None:
        """Remove a part of `.route.next`, `.headers` or `.status`; each of these three itself is emptied.

        Raises what `set` raises, and KeyError or IndexError if there is no value at the path.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        if steps in _WRITABLE:
            paths.write(self._data, steps, [] if steps == ("route", "next") else {})
        else:
            paths.delete(self._data, steps)

    @property
    def route(self) -> Route:
        """The route with the handler's changes so far."""
        return Route.from_dict(self._data["route"])

    def frame(self, payload: Any) -> Frame:
        """A frame with a copy of the payload, independent of later changes by the handler, and the current message.
        Raises TypeError or ValueError if the payload is not JSON.
        """
        return Frame(
            payload=jsontext.loads(jsontext.dumps(payload)),
            route=self.route,
            headers=copy.deepcopy(self._data["headers"]),
            status=copy.deepcopy(self._data["status"]),
        )


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
