"""The envelope of a fresh call, as text: what is the same for every call of a flow is encoded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route, format_time
from asya_crds.naming import HEADER_FLOW, HEADER_GATEWAY_URL
from asya_gateway.domain.task import JsonText


@dataclass(frozen=True, slots=True)
class Blank:
    """A flow's envelope with its changing parts left open."""

    route: Route
    headers: dict[str, str]
    route_json: JsonText
    headers_json: JsonText
    actor_json: JsonText

    def filled(
        self,
        task_id: str,
        headers: Mapping[str, Any],
        now: datetime,
        deadline: datetime | None,
        payload: JsonText,
    ) -> JsonText:
        """The whole envelope (asya_crds.envelope.Envelope). `task_id` is one of ours, which needs no escaping;
        `deadline` is left out where it is None."""
        stamp = format_time(now)
        ending = "" if deadline is None else f',"deadline_at":"{format_time(deadline)}"'
        headers_json = jsontext.dumps({**headers, **self.headers}) if headers else self.headers_json
        return (
            f'{{"id":"{task_id}","route":{self.route_json},"headers":{headers_json},'
            f'"status":{{"phase":"pending","actor":{self.actor_json},"attempt":1,"max_attempts":1,'
            f'"created_at":"{stamp}","updated_at":"{stamp}"{ending}}},"payload":{payload}}}'
        )


@lru_cache(maxsize=4096)
def blank(flow: str, route: Route, mesh_url: str) -> Blank:
    """The blank of a flow whose calls take this route."""
    headers = {HEADER_GATEWAY_URL: mesh_url, HEADER_FLOW: flow}
    return Blank(route, headers, route.to_json(), jsontext.dumps(headers), jsontext.dumps(route.curr))
