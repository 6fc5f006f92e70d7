"""How the registry grows: from the operator's push of all flows to the last api process, and what each process pays."""

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asya_gateway.protocols.a2a.card_cache import MOST_SKILLS
from bench.figures import median
from bench.mcp_messages import McpRequest, newest
from bench.scale.tables import Growth, Table
from bench.stage import GatewayProcess, Stage
from servers.databases import query

EDITS = 10
APIS = 2
LONGEST = 120.0
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class _Served:
    """Of so many flows: times in ms, memory in MiB, sizes in kB."""

    served: float
    cpu: float
    first: float
    listed: float
    listed_again: float
    card: float
    card_again: float
    memory: float
    peak: float
    row: float


def flows(stage: Stage, sizes: Sequence[int]) -> Table:
    """One flow of so many is changed, again and again."""
    found = []
    for size in sizes:
        found.append(_measure(stage, size))
        stage.say(f"  {size:,} flows: {found[-1]}")
    table = Table("Flows", "flows", sizes)
    lines: list[tuple[str, list[float], str]] = [
        ("push of a change to served by 2 api processes, ms (median)", [each.served for each in found], ",.0f"),
        ("CPU of an api process a change, ms", [each.cpu for each in found], ",.0f"),
        ("the first push of all of them, ms", [each.first for each in found], ",.0f"),
        ("tools/list, every page, after a change, ms", [each.listed for each in found], ",.1f"),
        ("tools/list again, ms", [each.listed_again for each in found], ",.1f"),
        ("agent card after a change, ms", [each.card for each in found], ",.1f"),
        ("agent card again, ms", [each.card_again for each in found], ",.1f"),
        ("memory of an api process, MiB", [each.memory for each in found], ",.0f"),
        ("memory of an api process after the changes, MiB", [each.peak for each in found], ",.0f"),
        ("the row, kB", [each.row for each in found], ",.0f"),
    ]
    table.lines += [Growth(name, [format(value, shown) for value in values]) for name, values, shown in lines]
    table.notes.append(f"a card shows {MOST_SKILLS:,} skills at most")
    table.notes.append("each flow is a tool with a schema of two members and a skill; a push has all of them")
    return table


def _measure(stage: Stage, size: int) -> _Served:
    with (
        stage.database() as url,
        stage.gateway("mesh", url) as mesh,
        stage.gateway("api", url, ASYA_CONFIG_PATH="") as one,
        stage.gateway("api", url, ASYA_CONFIG_PATH="") as two,
    ):
        apis = (one, two)
        epoch = _post(mesh, "/mesh/registry/epoch", {"leader": "bench"})["epoch"]
        first = _change(mesh, apis, epoch, size, 0)
        memory = one.memory / 2**20
        cpu = one.cpu_seconds
        served = [_change(mesh, apis, epoch, size, number) for number in range(1, EDITS + 1)]
        used = (one.cpu_seconds - cpu) / EDITS * 1e3
        listed, listed_again = _listed(one, size), _listed(one, size)
        card, card_again = _card(one, size), _card(one, size)
        row = query(url, "SELECT octet_length(configmap::text) + octet_length(resources::text) FROM registry")
        return _Served(
            median(served),
            used,
            first,
            listed,
            listed_again,
            card,
            card_again,
            memory,
            one.memory / 2**20,
            row / 1024,
        )


def _change(mesh: GatewayProcess, apis: Sequence[GatewayProcess], epoch: int, size: int, number: int) -> float:
    """Milliseconds from a push in which one flow has another name until every api process takes calls of it."""
    names = [f"edited-{number}", *(f"flow-{other}" for other in range(size - 1))]
    entries = [{"source": f"Flow/default/{name}", "flow": flow_named(name)} for name in names]
    began = time.monotonic()
    _post(mesh, "/mesh/config-reload", {"epoch": epoch, "resources": {"flows": entries, "problems": []}})
    for api in apis:
        while not _called(api, names[0]):
            if time.monotonic() > began + LONGEST:
                raise RuntimeError(f"{names[0]} is not served after {LONGEST:.0f} s")
            time.sleep(0.005)
    return (time.monotonic() - began) * 1e3


def flow_named(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"text": {"type": "string"}, "count": {"type": "integer"}}}
    return {
        "name": name,
        "entrypoint": "bench-first",
        "description": "Does what flows do, and says so in a sentence of ordinary length.",
        "mcp": {"inputSchema": schema},
        "a2a": {},
    }


def _post(gateway: GatewayProcess, path: str, body: Any) -> Any:
    status, answer = _request(gateway, "POST", path, json.dumps(body), _JSON)
    if status != 200:
        raise RuntimeError(f"{path} answered {status}: {answer[:300]!r}")
    return json.loads(answer)


def _called(api: GatewayProcess, name: str) -> bool:
    return _request(api, "POST", "/tools/call", json.dumps({"name": name, "arguments": {}}), _JSON)[0] == 200


def _listed(api: GatewayProcess, size: int) -> float:
    began, found, cursor = time.monotonic(), 0, None
    while True:
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = _asked(api, newest("tools/list", params))
        found, cursor = found + len(page["tools"]), page.get("nextCursor")
        if cursor is None:
            break
    if found < size:
        raise RuntimeError(f"{found} of {size} tools are listed")
    return (time.monotonic() - began) * 1e3


def _asked(api: GatewayProcess, request: McpRequest) -> Any:
    headers = dict(line.split(": ", 1) for line in request.head.split("\r\n"))
    status, answer = _request(api, "POST", "/mcp", request.body, {**_JSON, **headers})
    if status != 200:
        raise RuntimeError(f"/mcp answered {status}: {answer[:300]!r}")
    return json.loads(answer)["result"]


def _card(api: GatewayProcess, size: int) -> float:
    began = time.monotonic()
    status, answer = _request(api, "GET", "/.well-known/agent-card.json", None, {})
    took = (time.monotonic() - began) * 1e3
    if status != 200 or len(json.loads(answer)["skills"]) != min(size, MOST_SKILLS):
        raise RuntimeError(f"the card has not {min(size, MOST_SKILLS)} skills: {status} {answer[:300]!r}")
    return took


def _request(
    gateway: GatewayProcess, method: str, path: str, body: str | None, headers: dict[str, str]
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=LONGEST)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
