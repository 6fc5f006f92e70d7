"""A fan-out: a generator that yields several payloads makes several tasks of one."""

from collections.abc import Generator
from typing import Any


def split(payload: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """The first payload stays the caller's task; each further one is a child with an id of its own."""
    chapters = [part.strip() for part in payload["text"].split("\n\n") if part.strip()]
    for number, text in enumerate(chapters, start=1):
        yield {"chapter": number, "of": len(chapters), "text": text}


def count(payload: dict[str, Any]) -> dict[str, Any]:
    """Runs once for every chapter, side by side where several workers listen to the queue."""
    return {"chapter": payload["chapter"], "of": payload["of"], "words": len(payload["text"].split())}
