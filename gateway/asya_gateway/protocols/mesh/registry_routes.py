"""The operator's routes on mesh: push flows, lead, and ask which pods serve them (docs/protocols/registry.md)."""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from asya_crds import jsontext, large_json
from asya_crds.mesh_messages import OkAnswer
from asya_crds.message import WireMessage
from asya_crds.mistakes import dotted, explain
from asya_crds.naming import MAX_ID_LENGTH
from asya_crds.registry_document import RegistryPush
from asya_crds.registry_messages import (
    AnnounceAnswer,
    AnnounceMessage,
    HeartbeatAnswer,
    HeartbeatMessage,
    PodMessage,
    PushAnswer,
    RegistryAnswer,
)
from asya_crds.registry_text import without_flows
from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import InvalidInput, TooLarge
from asya_gateway.domain.registry import PodState, PushReport, RegistryState
from asya_gateway.domain.task import JsonText
from asya_gateway.domain.text import storable
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import as_object, decode_body, read_bytes, read_object
from asya_gateway.protocols.http.keys import HELD, REGISTRY
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.http.policies import MESH_ONLY, add_get, add_route
from asya_gateway.protocols.http.queries import bounded_integer

MAX_PUSH_BYTES = 64 * 1024 * 1024
MAX_SMALL_BYTES = 64 * 1024
MAX_WAIT = 60.0
"""Most seconds of `wait`."""
PUSH_DEPTH = 2 * jsontext.MAX_DEPTH
PUSH_VALUES = 8 * large_json.MAX_VALUES
"""Only the operator pushes, and twenty thousand flows have many values."""
_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")


async def config_reload(request: web.Request) -> web.Response:
    """POST /mesh/config-reload: without a body every api pod reads its mounted file again; with one (a
    RegistryPush) parts of the registry are replaced. 409 for an epoch that does not lead."""
    body = await read_bytes(request, MAX_PUSH_BYTES, share=Share.REPORTS)
    push = await _read_push(request, body)
    control = request.app[REGISTRY]
    if push is None:
        await control.reload()
        return _answer(OkAnswer())
    # In a thread, part by part, because tens of thousands of problems would block the event loop.
    return json_response(await asyncio.to_thread(_pushed, await control.push(push)))


async def _read_push(request: web.Request, body: bytes) -> RegistryPush | None:
    """None without a body, and for an empty object, which clients of the older route send."""
    if not body.strip():
        return None
    # The flows are returned as text, because decoded ones would block the event loop.
    found = await decode_body(request, body, max_depth=PUSH_DEPTH, max_values=PUSH_VALUES, then=without_flows)
    if "too_many" in found:
        raise TooLarge(f"expected at most {found['too_many']} values beside the flows")
    value = as_object(found["value"])
    return await asyncio.to_thread(_validated, value, found["texts"]) if value else None


def _validated(value: dict[str, Any], texts: Mapping[str, Sequence[str]]) -> RegistryPush:
    try:
        push = RegistryPush.model_validate(value)
    except ValidationError as error:
        first = explain(error, RegistryPush)[0]
        raise InvalidInput(first.reason, field=dotted(first.path)) from None
    for name, part in ((name, getattr(push, name)) for name in texts):
        for entry, text in zip(part.flows, texts[name], strict=True):
            entry.known_as(text)
    return push


def _pushed(report: PushReport) -> JsonText:
    answer = PushAnswer.saying(
        generation=report.generation,
        changed=report.changed,
        flows=report.flows,
        problems=list(report.problems),
        kept=list(report.kept),
    )
    return jsontext.dumps_by_parts(answer.whole())


async def announce(request: web.Request) -> web.Response:
    """POST /mesh/registry/epoch {leader?}: a new epoch for an operator that begins to lead."""
    said = read(AnnounceMessage, await _optional_object(request))
    epoch = await request.app[REGISTRY].announce(storable(said.leader, MAX_ID_LENGTH) or "")
    return _answer(AnnounceAnswer.saying(epoch=epoch))


async def heartbeat(request: web.Request) -> web.Response:
    """POST /mesh/registry/heartbeat {epoch}: the operator is alive. 409 for an epoch that does not lead."""
    epoch = read(HeartbeatMessage, await read_object(request, MAX_SMALL_BYTES)).epoch
    return _answer(HeartbeatAnswer.saying(epoch=epoch, generation=await request.app[REGISTRY].heartbeat(epoch)))


async def state(request: web.Request) -> web.Response:
    """GET /mesh/registry?generation=N&wait=5: answers once every live api pod serves N (by default the newest), or
    after `wait` seconds."""
    asked, wait = bounded_generation(request), wait_seconds(request)
    with request.app[HELD].slot(request) if wait else contextlib.nullcontext():
        found = await request.app[REGISTRY].served(asked, wait)
    return _answer(_state(found, found.generation if asked is None else asked))


def _state(found: RegistryState, generation: int) -> RegistryAnswer:
    return RegistryAnswer.saying(
        generation=found.generation,
        epoch=found.epoch,
        flows=found.flows,
        operator_age=found.operator_age,
        programmed=found.served_everywhere(generation),
        pods=[_pod(pod) for pod in found.pods],
    )


def _pod(pod: PodState) -> PodMessage:
    age = round(pod.heartbeat_age, 3)
    return PodMessage.saying(name=pod.name, mode=pod.mode, generation=pod.generation, heartbeat_age=age)


def _answer(said: WireMessage) -> web.Response:
    return json_response(jsontext.dumps(said.whole()))


def bounded_generation(request: web.Request) -> int | None:
    """The query's `generation`, None if it is absent. Raises InvalidInput."""
    if "generation" not in request.query:
        return None
    return bounded_integer(request, "generation", default=0, least=0, most=999_999_999)


def wait_seconds(request: web.Request) -> float:
    """The query's `wait` in seconds, capped; 0 if it is absent. Raises InvalidInput."""
    text = request.query.get("wait", "0")
    if not _NUMBER.fullmatch(text):
        raise InvalidInput("expected a number of seconds", field="wait")
    return min(float(text), MAX_WAIT)


async def _optional_object(request: web.Request) -> dict[str, Any]:
    body = await read_bytes(request, MAX_SMALL_BYTES)
    if not body.strip():
        return {}
    try:
        return as_object(jsontext.loads(body))
    except jsontext.InvalidJSON as error:
        raise InvalidInput(str(error)) from None


async def post_only(request: web.Request) -> web.Response:
    """405, because the routes below would take the fixed word for an id."""
    raise web.HTTPMethodNotAllowed(request.method, ["POST"])


def register(app: web.Application) -> None:
    """Add the routes. Call this before /mesh/{id} is added, which would match their fixed words."""
    add_route(app, "POST", "/mesh/config-reload", config_reload, MESH_ONLY)
    add_route(app, "*", "/mesh/config-reload", post_only, MESH_ONLY)
    add_get(app, "/mesh/registry", state, MESH_ONLY)
    add_route(app, "POST", "/mesh/registry/epoch", announce, MESH_ONLY)
    add_route(app, "POST", "/mesh/registry/heartbeat", heartbeat, MESH_ONLY)
