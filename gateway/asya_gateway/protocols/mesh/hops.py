"""Ids and routes as actors write them, in both dialects."""

from functools import lru_cache

from asya_crds.envelope import Route
from asya_crds.incarnations import LARGEST, Reported, hop_name, resolve
from asya_crds.mesh_messages import OlderRouteMessage, RouteMessage
from asya_crds.naming import RESUME
from asya_crds.status import HopState
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.progress import progress_percent
from asya_gateway.protocols.http.fields import Body, checked_id, optional_integer
from asya_gateway.protocols.http.messages import read

ORDINARY = 16
"""Most actors of a route that is cached."""


def task_id_of(reported: str) -> str:
    """The task of a report, which may have the id of a resume envelope."""
    return resolve(reported).task_id


def read_incarnation(body: Body, reported: Reported) -> int | None:
    """The incarnation of a report: the one it contains (from our worker), else that of its id; None if there is
    neither. Raises InvalidInput."""
    said = optional_integer(body, "incarnation", most=LARGEST)
    return reported.incarnation if said is None else said


def claimed_hop(hop: str, reported: Reported) -> str:
    """The hop of a claim with the incarnation in which its route began. A worker of the previous version leaves it out:
    a route under the id of a resume envelope began with that answer."""
    return hop if "." in hop else hop_name(reported.incarnation or 0, hop)


def check_same_id(body: Body, reported: str) -> None:
    """Refuse a body whose `id` names another task than its path. Raises InvalidInput."""
    if body.get("id") is not None and task_id_of(checked_id(body["id"], "id")) != task_id_of(reported):
        raise InvalidInput("expected the same id as in the path", field="id")


def read_route(body: Body) -> Route:
    """{prev, curr, next}, or the older {actors, current_actor_idx | current}.

    prev, curr and next may be null or missing. An empty curr is a route that has ended. Raises InvalidInput naming the
    field.
    """
    if body.get("actors") is not None:
        return _older_route(body)
    prev, curr, rest = body.get("prev"), body.get("curr"), body.get("next")
    if not (isinstance(prev, list) and isinstance(curr, str) and isinstance(rest, list)):
        return _any_route(body)
    if len(prev) + len(rest) > ORDINARY:
        return _any_route(body)
    try:
        return _ordinary_route(tuple(prev), curr, tuple(rest))
    except TypeError:
        # A name of another type (a list, for example) cannot be a key; the model reports the mistake.
        return _any_route(body)


@lru_cache(maxsize=1024)
def _ordinary_route(prev: tuple[str, ...], curr: str, rest: tuple[str, ...]) -> Route:
    """Cached, because the tasks of a flow report the same few routes again and again."""
    return _any_route({"prev": list(prev), "curr": curr, "next": list(rest)})


def _any_route(body: Body) -> Route:
    said = read(RouteMessage, body)
    return Route(said.prev, said.curr, said.next)


def progress_of(route: Route, state: HopState, *, shifted: bool = False) -> float:
    """The task's progress by this report. A report without actors has none, nor does the crew's report of an answer,
    whose own route ends with it."""
    if route.says_nothing or (route.curr == RESUME and not route.prev):
        return 0.0
    return progress_percent(route, state, shifted=shifted)


def is_shifted(body: Body, route: Route, state: HopState) -> bool:
    """Whether a report of a finished hop has the outgoing route, as from existing sidecars, instead of the incoming
    one, as from our worker (with a claim) and in the older dialect."""
    ours = body.get("claim") is not None
    return state is HopState.COMPLETED and not ours and body.get("actors") is None and bool(route.prev)


def _older_route(body: Body) -> Route:
    actors = read(OlderRouteMessage, body).actors
    key = "current_actor_idx" if body.get("current_actor_idx") is not None else "current"
    index = body.get(key, 0)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= len(actors):
        raise InvalidInput(f"expected an index from 0 to {len(actors)}", field=key)
    curr = actors[index] if index < len(actors) else ""
    return Route(actors[:index], curr, actors[index + 1 :])
