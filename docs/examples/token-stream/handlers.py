"""An actor that streams: live events go to whoever reads now, the yielded payload is the result."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

STORY = "Once upon a time {hero} looked at the sea, wrote down what it said, and was never bored again."


async def tell(payload: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """`yield "FLY", {…}` sends a live event, as a language model's tokens would be sent; it is not stored."""
    story = STORY.format(hero=payload["hero"])
    for word in story.split():
        yield "FLY", {"type": "text_delta", "token": word + " "}
        await asyncio.sleep(payload.get("pause", 0.05))
    yield {"story": story}
