"""The message as a handler sees it: id, parent_id, route, headers, status; and the verbs that read and change it."""

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
    """One payload that a handler sends on, with route, headers and status as they were when it did.

    The route is not shifted yet: `curr` is the actor that made the frame.
    """

    payload: Any
    route: Route
    headers: dict[str, Any]
    status: dict[str, Any]


class HandlerMessage:
    """One handler call's view of its envelope. Not shared between calls; changes show in the frames made after them."""

    def __init__(self, envelope: Envelope) -> None:
        self._data: dict[str, Any] = {
            "id": envelope.id,
            "parent_id": envelope.parent_id,
            "route": envelope.route.as_dict(),
            "headers": copy.deepcopy(dict(envelope.headers)),
            "status": copy.deepcopy(dict(envelope.status)),
        }

    def get(self, path: object) -> Any:
        """A deep copy of what stands at the path. Raises KeyError, IndexError, TypeError, ValueError."""
        return copy.deepcopy(paths.read(self._data, paths.parse_path(path)))

    def set(self, path: object, value: object) -> None:
        """Change `.route.next`, `.headers` or `.status`, whole or in part.

        Raises PermissionError for everything else, TypeError or ValueError for what JSON or a route cannot hold.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        changed = copy.deepcopy(self._data)
        paths.write(changed, steps, jsontext.loads(jsontext.dumps(value)))
        _check(changed)
        self._data = changed

    def delete(self, path: object) -> None:
        """Remove a part of `.route.next`, `.headers` or `.status`; one of these three themselves is emptied.

        Raises as `set`, and KeyError or IndexError where nothing stands there.
        """
        steps = paths.parse_path(path)
        _require_writable(steps)
        if steps in _WRITABLE:
            paths.write(self._data, steps, [] if steps == ("route", "next") else {})
        else:
            paths.delete(self._data, steps)

    @property
    def route(self) -> Route:
        """As the handler has left it so far."""
        return Route.from_dict(self._data["route"])

    def frame(self, payload: Any) -> Frame:
        """The payload, decoupled from what the handler goes on to do with it, and the message as it stands now.

        Raises TypeError or ValueError where the payload is not JSON.
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
