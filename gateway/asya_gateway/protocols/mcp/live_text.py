"""The text in a live event. Events of many values are read in the other process, so this module imports little."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import has_few_values
from asya_crds.offloading import Offload, OffloadFailed
from asya_gateway.domain.task import JsonText


async def found_text(payload: JsonText, offload: Offload) -> str | None:
    """The text in a live event, found without blocking the event loop. Also None while the other process is busy,
    because live events may be lost."""
    if has_few_values(payload):
        return live_text(payload)
    try:
        text: str | None = await offload.run(f"{live_text.__module__}:{live_text.__name__}", payload)
    except OffloadFailed:
        return None
    return text


def live_text(payload: JsonText) -> str | None:
    """The text in a live event, in any of the shapes that actors use: a token ({token}, {text}, {delta}, {content}), a
    status or message of A2A, or the parts of an artifact. None if there is no text."""
    try:
        value = jsontext.loads(payload, max_depth=2 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return None
    return _text_in(value)


_TEXT_KEYS = ("text", "token", "delta", "content", "message")
_PART_KEYS = ("artifact_update", "status_update", "artifact", "status", "message", "parts", "delta", "content")


def _text_in(value: Any) -> str | None:
    match value:
        case str():
            return value or None
        case list():
            return "".join(filter(None, (_text_in(part) for part in value if isinstance(part, Mapping)))) or None
        case Mapping():
            for key in _TEXT_KEYS:
                if isinstance(value.get(key), str) and value[key]:
                    return str(value[key])
            inner = (_text_in(value[key]) for key in _PART_KEYS if isinstance(value.get(key), Mapping | list))
            return next(filter(None, inner), None)
        case _:
            return None
