"""Handlers that keep something between messages, in files below /state."""

import json
import os
from os.path import exists
from typing import Any


def count(payload: dict[str, Any]) -> dict[str, Any]:
    """A plain function, in its thread."""
    path = f"/state/visits/{payload['who']}.json"
    visits = []
    if exists(path):
        with open(path) as file:
            visits = json.load(file)
    os.makedirs("/state/visits", exist_ok=True)
    with open(path, "w") as file:
        json.dump([*visits, payload["at"]], file)
    return {**payload, "visits": len(visits) + 1, "known": sorted(os.listdir("/state/visits"))}


async def read(payload: dict[str, Any]) -> dict[str, Any]:
    """In the event loop, blocking as files are."""
    with open(f"/state/visits/{payload['who']}.json", encoding="utf-8") as file:
        return {"read": json.load(file)}
