"""Reading server-sent events as tests need them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; `id` is "" where it has none."""

    name: str
    data: Any
    id: str


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[StreamEvent]:
    """Every event until the stream ends (HTML standard, "Interpreting an event stream")."""
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    text = (await response.read()).decode()
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            yield StreamEvent(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))
