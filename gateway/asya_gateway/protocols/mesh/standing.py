"""GET /mesh/{id}/hops/{hop}: what mesh knows of a hop. The crew asks it before a dead letter ends its task."""

import re

from aiohttp import web

from asya_crds import jsontext
from asya_crds.incarnations import LARGEST, resolve
from asya_crds.mesh_messages import StandingAnswer
from asya_crds.naming import check_actor_name
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.hop_reports import HopAsked
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.keys import TASKS
from asya_gateway.protocols.http.paths import path_id
from asya_gateway.protocols.http.queries import only_parameters
from asya_gateway.protocols.mesh.hops import claimed_hop

HOP = "{hop:[^/]+}"
HOP_PATTERN = r"^([1-9][0-9]{0,5}\.)?(0|[1-9][0-9]{0,5})$"
_HOP = re.compile(HOP_PATTERN)


async def standing(request: web.Request) -> web.Response:
    """200 also for an unknown id, whose answer says so: the task may be another gateway's."""
    only_parameters(request, "actor")
    reported = resolve(path_id(request))
    named = _HOP.fullmatch(request.match_info["hop"])
    if named is None:
        raise InvalidInput(f"expected a place or <began>.<place>, each at most {LARGEST}", field="hop")
    try:
        actor = check_actor_name(request.query.get("actor", ""))
    except ValueError as error:
        raise InvalidInput(str(error), field="actor") from None
    hop = HopAsked(reported.task_id, claimed_hop(named[0], reported), int(named[2]), actor)
    found = await request.app[TASKS].standing(hop)
    if found is None:
        return json_response(jsontext.dumps(StandingAnswer.wire(known=False)))
    return json_response(jsontext.dumps(StandingAnswer.wire(known=True, **found._asdict())))
