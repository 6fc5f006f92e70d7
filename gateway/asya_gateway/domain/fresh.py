"""The first envelope of a call, as text. The parts that are the same for every call of a flow are encoded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route, format_seconds
from asya_crds.flow import Flow
from asya_crds.naming import HEADER_FLOW, HEADER_GATEWAY_URL
from asya_gateway.domain.beside import KeptBeside
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import JsonText


@dataclass(frozen=True, slots=True)
class Blank:
    """A flow's envelope without its variable parts; `timeout` is None if the flow has none."""

    timeout: float | None
    headers: dict[str, str]
    route_json: JsonText
    headers_json: JsonText
    actor_json: JsonText

    def filled(
        self, task_id: str, headers: Mapping[str, Any], now: float, payload: JsonText, caller: JsonText = ""
    ) -> JsonText:
        """The complete envelope (asya_crds.envelope.Envelope). `task_id` is one of ours and needs no escaping; `caller`
        is a member of the headers, already encoded."""
        stamp = format_seconds(now)
        ending = "" if self.timeout is None else f',"deadline_at":"{format_seconds(now + self.timeout)}"'
        headers_json = jsontext.dumps({**headers, **self.headers}) if headers else self.headers_json
        if caller:
            headers_json = f"{headers_json[:-1]},{caller}}}"
        return (
            f'{{"id":"{task_id}","route":{self.route_json},"headers":{headers_json},'
            f'"status":{{"phase":"pending","actor":{self.actor_json},"attempt":1,"max_attempts":1,'
            f'"created_at":"{stamp}","updated_at":"{stamp}"{ending}}},"payload":{payload}}}'
        )


def blank(served: ServedFlow, mesh_url: str) -> Blank:
    """The template of a flow's envelopes."""
    blanks = _blanks(served)
    if mesh_url not in blanks:
        blanks[mesh_url] = _made(served.flow, mesh_url)
    return blanks[mesh_url]


def _made(flow: Flow, mesh_url: str) -> Blank:
    route = Route((), flow.entrypoint, tuple(flow.route_next))
    headers = {HEADER_GATEWAY_URL: mesh_url, HEADER_FLOW: flow.name}
    return Blank(flow.timeout, headers, route.to_json(), jsontext.dumps(headers), jsontext.dumps(route.curr))


def _none_yet(_served: ServedFlow) -> dict[str, Blank]:
    return {}


_blanks = KeptBeside(_none_yet)
"""Templates by the URL of mesh, of which a process has one."""
