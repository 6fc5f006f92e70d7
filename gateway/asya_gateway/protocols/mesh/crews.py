"""POST /mesh/crews/heartbeat: a crew says that it runs, and whether it has hooks."""

from aiohttp import web

from asya_crds import jsontext
from asya_crds.hop_reports import CrewAnswer, CrewMessage
from asya_gateway.domain.budget import Share
from asya_gateway.domain.hop_reports import CrewReport
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import read_object
from asya_gateway.protocols.http.keys import SETTINGS, TASKS
from asya_gateway.protocols.http.messages import read

EVERY_SECONDS = 5.0
"""A third of the time for which a crew counts after it was heard of."""
_OK = jsontext.dumps(CrewAnswer.wire(every_seconds=EVERY_SECONDS))


async def heartbeat(request: web.Request) -> web.Response:
    """Answered after the commit: from then on, a crew with hooks gets every message."""
    body = await read_object(request, request.app[SETTINGS].max_report_bytes, share=Share.REPORTS)
    said = read(CrewMessage, body)
    await request.app[TASKS].crew_says(CrewReport(said.name, said.sink, said.hooks, said.leaving))
    return json_response(_OK)
