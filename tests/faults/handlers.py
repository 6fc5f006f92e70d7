"""Actors of the fault tests. Each run leaves a line in a file, so that a hop that ran twice is seen."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


def _note(actor: str, payload: dict[str, Any], event: str) -> None:
    """One short append is atomic, whoever else writes."""
    line = f"{actor} {payload['n']} {event} {os.getpid()}\n"
    with Path(os.environ["FAULTS_RUNS"]).open("a") as runs:
        runs.write(line)


async def first(payload: dict[str, Any]) -> dict[str, Any]:
    _note("first", payload, "begun")
    gate = payload.get("first_waits_for")
    while gate and not Path(gate).exists():
        await asyncio.sleep(0.02)
    _note("first", payload, "ended")
    return payload


async def second(payload: dict[str, Any]) -> Any:
    _note("second", payload, "begun")
    for number in range(int(payload.get("tokens", 0))):
        yield "FLY", {"type": "text_delta", "token": f"t{number}"}
    if payload.get("big_event"):
        yield "FLY", {"text": "x" * int(payload["big_event"])}
    _note("second", payload, "ended")
    yield {**payload, "done": True}


async def asking(payload: dict[str, Any]) -> AsyncIterator[Any]:
    """Asks its caller's person, and passes the answer on."""
    _note("asking", payload, "begun")
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    asked = {"method": "elicitation/create", "params": {"message": "Who are you?", "requestedSchema": schema}}
    yield "SET", ".headers.x-asya-pause", {"prompt": "One question", "inputs": {"who": asked}}
    _note("asking", payload, "ended")
    yield payload


async def slow(payload: dict[str, Any]) -> dict[str, Any]:
    """Takes as many seconds as it is told."""
    await asyncio.sleep(float(payload.get("takes", 1)))
    return payload


def blocking(payload: dict[str, Any]) -> dict[str, Any]:
    _note("blocking", payload, "begun")
    time.sleep(float(payload.get("takes", 0)))
    _note("blocking", payload, "ended")
    return payload


async def stamped(payload: dict[str, Any]) -> AsyncIterator[Any]:
    """Passes on what its envelope says of time."""
    _note("stamped", payload, "begun")
    status = yield "GET", ".status"
    _note("stamped", payload, "ended")
    yield {**payload, "status": status}


async def spread(payload: dict[str, Any]) -> AsyncIterator[Any]:
    """Sends so many `parts`, each with so many bytes of filling."""
    _note("spread", payload, "begun")
    for part in range(int(payload["parts"])):
        yield {"n": f"{payload['n']}.{part}", "filling": "x" * int(payload.get("filling", 0))}
    _note("spread", payload, "ended")
