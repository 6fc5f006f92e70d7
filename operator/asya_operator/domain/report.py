"""The report on the ConfigMap, written as an annotation because a ConfigMap has no status."""

from collections.abc import Callable, Sequence
from typing import Any

from asya_crds import jsontext
from asya_operator.domain.conditions import Condition
from asya_operator.domain.registry import ComputedRegistry, EntryVerdict

REPORT_ANNOTATION = "asya.sh/flows-report"
MAX_REPORT_BYTES = 32 * 1024

ProgrammedOf = Callable[[EntryVerdict], Condition]


def report(outcome: ComputedRegistry, programmed: ProgrammedOf) -> str:
    """The annotation's JSON: `{hash, served, programmed, flows[], problems[], omitted?}`.

    `hash` identifies the text it is about. Cut at 32 KiB: flows without problems are left out first, then problems.
    """
    flows, problems = [], []
    for item in outcome.entries:
        condition = programmed(item)
        if item.verdict.served:
            flows.append(_flow(item, condition))
        else:
            problems.append(_problem(item))
    head = {
        "hash": outcome.document.configmap.hash or "",
        "served": len(flows),
        "programmed": all(flow["programmed"] is True for flow in flows),
    }
    return _cut(head, sorted(flows, key=_interesting), problems)


def _flow(item: EntryVerdict, condition: Condition) -> dict[str, Any]:
    verdict = item.verdict
    shown: dict[str, Any] = {"name": verdict.name, "programmed": condition.holds}
    if not condition.holds:
        shown["message"] = condition.message
    if not verdict.resolved.holds:
        shown["resolvedRefs"] = f"{verdict.resolved.reason}: {verdict.resolved.message}"
    if verdict.accepted.reason == "NotExposed":
        shown["note"] = verdict.accepted.message
    return shown


def _problem(item: EntryVerdict) -> dict[str, Any]:
    verdict = item.verdict
    return {
        "name": verdict.name,
        "key": item.source,
        "line": item.line,
        "reason": verdict.accepted.reason,
        "message": verdict.accepted.message[:1024],
    }


def _interesting(flow: dict[str, Any]) -> tuple[int, str]:
    return -len(flow), flow["name"]


def _cut(head: dict[str, Any], flows: Sequence[dict[str, Any]], problems: Sequence[dict[str, Any]]) -> str:
    """Add parts, problems first, while they fit."""
    room = MAX_REPORT_BYTES - len(_text({**head, "flows": [], "problems": [], "omitted": 10**6}))
    kept: dict[str, list[dict[str, Any]]] = {"flows": [], "problems": []}
    omitted = 0
    for key, parts in (("problems", problems), ("flows", flows)):
        for part in parts:
            size = len(_text(part)) + 2
            if size > room:
                omitted += 1
                continue
            room -= size
            kept[key].append(part)
    document = {**head, **kept, **({"omitted": omitted} if omitted else {})}
    return _text(document)


def _text(value: dict[str, Any]) -> str:
    """One byte for each character."""
    return jsontext.spaced(value, ascii_only=True)
