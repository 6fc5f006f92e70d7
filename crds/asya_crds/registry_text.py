"""The registry row's document ({flows: [Entry], problems: [FlowProblem], sets?: [FlowSet]}) as JSON text. It is split
in place if that is cheap, else in the other process: it may hold twenty thousand flows."""

from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext
from asya_crds.flow_problem import FlowProblem
from asya_crds.flows_file import readable_name
from asya_crds.large_json import has_few_values, places
from asya_crds.offloading import Offload

PARTS = ("configmap", "resources")
LEFT_VALUES = 500_000
"""Most values of a push outside its flows: enough for twenty thousand entries and as many problems."""
FLOW_VALUES = 200_000
"""More values than any flow that can be served has: a schema has at most 128 KiB. One with more is never decoded where
requests are served."""

Parts = tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]
"""The JSON text of each Entry, so that unchanged entries need not be decoded; the FlowProblems, with those of entries
that are too large; and the FlowSets."""


async def parts_of(text: str, offload: Offload) -> Parts:
    """Split the text, in the other process if it is large. Raises OffloadFailed."""
    if has_few_values(text):
        return split(text)
    parts: Parts = await offload.run(f"{__name__}:{split.__name__}", text)
    return parts


def split(text: str) -> Parts:
    """Split the text in this process."""
    document = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    entries, problems = [], list(document.get("problems", ()))
    for entry in document.get("flows", ()):
        if places(entry, FLOW_VALUES) > FLOW_VALUES:
            problems.append(_too_large(entry))
        else:
            entries.append(jsontext.dumps(entry))
    return entries, problems, list(document.get("sets", ()))


def _too_large(entry: dict[str, Any]) -> dict[str, Any]:
    reason = f"expected a flow of at most {FLOW_VALUES} values"
    problem = FlowProblem.of(readable_name(entry.get("flow")), reason, entry.get("source", ""), entry.get("line"))
    return dict(problem.as_dict())


Kept = tuple[list[str], list[dict[str, Any]]]
"""The JSON text of entries, and sets."""


async def kept_entries(
    text: str, unreadable: Sequence[str], names: Sequence[str], sets: Sequence[str], offload: Offload
) -> Kept:
    """What to keep of the old text with a new part: the entries and sets of unreadable sources whose names are not
    among `names` and `sets`, those of the new part. Raises OffloadFailed."""
    if has_few_values(text):
        return kept_from(text, unreadable, names, sets)
    arguments = (text, list(unreadable), list(names), list(sets))
    kept: Kept = await offload.run(f"{__name__}:{kept_from.__name__}", *arguments)
    return kept


def kept_from(text: str, unreadable: Sequence[str], names: Sequence[str], sets: Sequence[str]) -> Kept:
    """The same in this process."""
    document, taken = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH), set(names)
    entries = [
        jsontext.dumps(entry)
        for entry in document["flows"]
        if entry["source"] in unreadable and entry["flow"].get("name") not in taken
    ]
    old_sets = document.get("sets", ())
    return entries, [each for each in old_sets if each["source"] in unreadable and each["name"] not in sets]


def without_flows(push: Any) -> dict[str, Any]:
    """A push reduced for the event loop: {value, texts}. In `value`, each entry's flow has only its name. `texts` has
    the JSON text of each whole entry, by part, and None for items that are not entries. {too_many} if the rest holds
    more than LEFT_VALUES."""
    if not isinstance(push, dict):
        return {"value": None, "texts": {}}
    texts = {name: _take_flows(part) for name in PARTS if isinstance(part := push.get(name), dict)}
    # Members that are not read are left out, but an object with only such members must not become empty.
    value = {name: push[name] for name in ("epoch", *PARTS) if name in push} or dict.fromkeys([*push][:1])
    if places(value, LEFT_VALUES) > LEFT_VALUES:
        return {"too_many": LEFT_VALUES}
    return {"value": value, "texts": texts}


def _take_flows(part: dict[str, Any]) -> list[str | None]:
    entries = part.get("flows")
    return [_take_flow(entry) for entry in entries] if isinstance(entries, list) else []


def _take_flow(entry: Any) -> str | None:
    if not isinstance(entry, dict) or not isinstance(flow := entry.get("flow"), dict):
        return None
    # In the order in which the model dumps it, so that an unchanged push has the same text as the row.
    text = jsontext.dumps({"source": entry.get("source"), "flow": flow, "line": entry.get("line")})
    name = flow.get("name")
    entry["flow"] = {"name": name} if isinstance(name, str) else {}
    return text
