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
"""Actors of a route that is remembered."""


def task_id_of(reported: str) -> str:
    """The task that a report is about: it may come under the id of a resume envelope."""
    return resolve(reported).task_id


def read_incarnation(body: Body, reported: Reported) -> int | None:
    """The incarnation that a report belongs to: what it says, as our worker does, else what its id names; None where
    neither does. Raises InvalidInput."""
    said = optional_integer(body, "incarnation", most=LARGEST)
    return reported.incarnation if said is None else said


def claimed_hop(hop: str, reported: Reported) -> str:
    """The hop of a claim with the incarnation in which its route began, which a worker of the version before leaves
    out: a route under the id of a resume envelope began with it."""
    return hop if "." in hop else hop_name(reported.incarnation or 0, hop)


def check_same_id(body: Body, reported: str) -> None:
    """Refuse a body whose `id` names another task than its path. Raises InvalidInput."""
    if body.get("id") is not None and task_id_of(checked_id(body["id"], "id")) != task_id_of(reported):
        raise InvalidInput("expected the same id as in the path", field="id")


def read_route(body: Body) -> Route:
    """{prev, curr, next}, or the older {actors, current_actor_idx | current}.

    prev and next may be null or missing, curr too: an empty one is a route that has ended. Raises InvalidInput
    naming the field.
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
        # A name that is a list, say, is no key; the model says what is wrong with it.
        return _any_route(body)


@lru_cache(maxsize=1024)
def _ordinary_route(prev: tuple[str, ...], curr: str, rest: tuple[str, ...]) -> Route:
    """Remembered, since the tasks of a flow report the same few routes over and over."""
    return _any_route({"prev": list(prev), "curr": curr, "next": list(rest)})


def _any_route(body: Body) -> Route:
    said = read(RouteMessage, body)
    return Route(said.prev, said.curr, said.next)


def progress_of(route: Route, state: HopState, *, shifted: bool = False) -> float:
    """How far the task is by this report; one that names no actor says nothing of it, nor does the crew's when it
    brings an answer, whose own route ends with it."""
    if route.says_nothing or (route.curr == RESUME and not route.prev):
        return 0.0
    return progress_percent(route, state, shifted=shifted)


def is_shifted(body: Body, route: Route, state: HopState) -> bool:
    """Whether a report of a finished hop carries the route that goes on, as existing sidecars do, and not the one that
    came in, as our worker (with a claim) and the older dialect do."""
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
