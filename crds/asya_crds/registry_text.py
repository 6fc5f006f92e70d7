"""A document of the registry row ({flows: [Entry], problems: [FlowProblem]}) as JSON text, taken apart where that costs
little, else in the other process: it may hold twenty thousand flows."""

from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import has_few_values
from asya_crds.offloading import Offload

Parts = tuple[list[str], list[dict[str, Any]]]
"""The JSON text of each Entry, so that those which stayed as they were need not be decoded; and the FlowProblems."""


async def parts_of(text: str, offload: Offload) -> Parts:
    """Raises OffloadFailed."""
    if has_few_values(text):
        return split(text)
    parts: Parts = await offload.run(f"{__name__}:{split.__name__}", text)
    return parts


def split(text: str) -> Parts:
    """In this process."""
    document = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    return [jsontext.dumps(entry) for entry in document.get("flows", ())], list(document.get("problems", ()))


async def kept_entries(text: str, unreadable: Sequence[str], names: Sequence[str], offload: Offload) -> list[str]:
    """The text of the old entries that stay beside a new part: those of unreadable sources, whose names the new part
    does not have. Raises OffloadFailed."""
    if has_few_values(text):
        return kept_from(text, unreadable, names)
    entries: list[str] = await offload.run(f"{__name__}:{kept_from.__name__}", text, list(unreadable), list(names))
    return entries


def kept_from(text: str, unreadable: Sequence[str], names: Sequence[str]) -> list[str]:
    """In this process."""
    document, taken = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH), set(names)
    return [
        jsontext.dumps(entry)
        for entry in document["flows"]
        if entry["source"] in unreadable and entry["flow"].get("name") not in taken
    ]
