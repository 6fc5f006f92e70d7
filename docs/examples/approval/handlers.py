"""A flow that waits for a person: an actor asks, the task pauses, the answer joins the payload."""

from collections.abc import Generator
from typing import Any


def draft(payload: dict[str, Any]) -> Generator[Any, None, None]:
    """Setting the header x-asya-pause makes the task wait after this actor, for as long as the answer takes.

    Each field of the answer goes into the payload under its name.
    """
    note = f"News about {payload['topic']}: there are some."
    yield (
        "SET",
        ".headers.x-asya-pause",
        {
            "prompt": f"Publish this? {note}",
            "fields": [
                {"name": "approved", "type": "boolean", "prompt": "Whether it may be published"},
                {"name": "comment", "type": "string", "prompt": "What to add", "required": False},
            ],
        },
    )
    yield {**payload, "note": note}


def publish(payload: dict[str, Any]) -> dict[str, Any]:
    """Runs once somebody has answered."""
    if not payload["approved"]:
        return {"published": False, "note": payload["note"]}
    note = " ".join(filter(None, [payload["note"], payload.get("comment")]))
    return {"published": True, "note": note}
