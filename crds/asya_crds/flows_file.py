"""Reading flows: from one document, and from all keys of a ConfigMap. An invalid flow does not affect the others."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowNames, FlowProblem, NameTaken, UnreadableSource, place
from asya_crds.flow_sets import FlowSet, read_sets, without_repeated_sets
from asya_crds.mistakes import FieldMistake, InvalidDocument, explain, worded
from asya_crds.yaml_text import Mistake, Path, Unreadable, Yaml, parse

MAX_FLOWS = 10_000
SUFFIXES = (".yaml", ".yml")
SETS = "sets"
"""Tool sets, beside the flows. A version that does not know them serves the flows and reports the field."""

LineOf = Callable[[Path], int | None]
FlowCheck = Callable[[Flow], None]
"""A further check of a flow, beyond its model's own rules (asya_schemas.flows.check_flow). Raises InvalidFlow."""


class InvalidFlow(InvalidDocument):
    """The document is not a flow that can be served."""


def no_more(_flow: Flow) -> None:
    """No further check, for readers without a schema engine."""


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """A flow and its location; lines count from 1."""

    flow: Flow
    source: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class FlowsText:
    """The merged content of all keys of a ConfigMap, or of all files in the folder it is mounted to."""

    hash: str
    flows: tuple[FoundFlow, ...] = ()
    problems: tuple[FlowProblem, ...] = ()
    unreadable: tuple[str, ...] = field(default=())
    """Sources that are not YAML (half-written, for example). Their last readable content stays in force."""
    sets: tuple[FlowSet, ...] = ()


def is_flows_key(name: str) -> bool:
    """Whether a key of the ConfigMap, or a file of the folder, is read: *.yaml and *.yml, except hidden files."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def content_hash(texts: Mapping[str, bytes]) -> str:
    """`sha256:…` of the names and contents of the keys that are read. A ConfigMap and its mounted folder have the same
    hash."""
    digest = hashlib.sha256()
    for name in sorted(filter(is_flows_key, texts)):
        for part in (name.encode("utf-8", "surrogatepass"), texts[name]):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def read_texts(texts: Mapping[str, bytes], yaml: Yaml, check: FlowCheck = no_more) -> FlowsText:
    """Read and merge every key, in the order of their names. Of several flows with one name, the first is served.

    Never raises: mistakes are returned as problems.
    """
    flows: list[FoundFlow] = []
    sets: list[FlowSet] = []
    problems: list[FlowProblem] = []
    unreadable: list[str] = []
    for source in sorted(filter(is_flows_key, texts)):
        try:
            found, own_sets, mistakes = read_text(texts[source], source, yaml, check)
        except Unreadable as error:
            problems.append(UnreadableSource.of("", error.reason, source, error.line))
            unreadable.append(source)
            continue
        flows += found
        sets += own_sets
        problems += mistakes
    kept, repeated = without_repetitions(flows)
    kept_sets, repeated_sets = without_repeated_sets(sets)
    problems += [*repeated, *repeated_sets]
    return FlowsText(content_hash(texts), tuple(kept), tuple(problems), tuple(unreadable), tuple(kept_sets))


def read_text(
    text: bytes, source: str, yaml: Yaml, check: FlowCheck = no_more
) -> tuple[list[FoundFlow], list[FlowSet], list[FlowProblem]]:
    """Read one text. Raises Unreadable if it is not YAML."""
    try:
        document = parse(text.decode("utf-8-sig"), yaml)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from None
    flows, problems = read_flows(document.value, source, line_of=document.line, mistakes=document.mistakes, check=check)
    written = document.value.get(SETS) if isinstance(document.value, dict) else None
    sets, wrong = read_sets(written, source, document.line)
    return flows, sets, [*problems, *wrong]


def read_flows(
    document: Any,
    source: str,
    *,
    line_of: LineOf = lambda _: None,
    mistakes: Iterable[Mistake] = (),
    check: FlowCheck = no_more,
) -> tuple[list[FoundFlow], list[FlowProblem]]:
    """Flows and problems of a decoded document: `flows: [...]`, or one flow by itself. An empty one has no flows."""
    entries, problems = _entries(document, source, line_of)
    flows: list[FoundFlow] = []
    belonging: dict[Path, list[Mistake]] = {}
    length = len(entries[0][0]) if entries else 0
    for mistake in mistakes:
        belonging.setdefault(mistake.path[:length], []).append(mistake)
    for path, entry in entries:
        own = belonging.pop(path, [])
        found = _read_entry(entry, path, source, line_of, own, check)
        if isinstance(found, FoundFlow):
            flows.append(found)
        else:
            problems += found
    problems += [
        FlowProblem.of("", worded(mistake.path, mistake.reason), source, mistake.line)
        for each in belonging.values()
        for mistake in each
    ]
    return flows, problems


def _entries(document: Any, source: str, line_of: LineOf) -> tuple[list[tuple[Path, Any]], list[FlowProblem]]:
    def wrong(reason: str, path: Path = ()) -> tuple[list[tuple[Path, Any]], list[FlowProblem]]:
        return [], [FlowProblem.of("", reason, source, line_of(path))]

    if document is None:
        return [], []
    if not isinstance(document, dict):
        return wrong("expected `flows:` with a list, or a single flow")
    if "flows" not in document:
        if "entrypoint" in document or "name" in document:
            return [((), document)], []
        if document.keys() == {SETS}:
            return [], []
        return wrong("expected `flows:` with a list, or a single flow with name and entrypoint")
    flows = document["flows"]
    if flows is None:
        return [], []
    if not isinstance(flows, list):
        return wrong("flows: expected a list", ("flows",))
    if len(flows) > MAX_FLOWS:
        return wrong(f"flows: expected at most {MAX_FLOWS}", ("flows",))
    problems = [
        FlowProblem.of("", f"{key}: unknown field beside flows", source, line_of((key,)))
        for key in document
        if key not in ("flows", "version", SETS)
    ]
    return [(("flows", index), entry) for index, entry in enumerate(flows)], problems


def _read_entry(
    entry: Any, path: Path, source: str, line_of: LineOf, mistakes: list[Mistake], check: FlowCheck
) -> FoundFlow | list[FlowProblem]:
    name = readable_name(entry)
    if mistakes:
        return [
            FlowProblem.of(name, worded(mistake.path[len(path) :], mistake.reason), source, mistake.line)
            for mistake in mistakes
        ]
    try:
        return FoundFlow(flow_of(entry, check), source, line_of(path))
    except InvalidFlow as error:
        return [
            FlowProblem.of(name, each.text(), source, line_of((*path, *each.path, *each.inside)))
            for each in error.mistakes
        ]


def flow_of(entry: Any, check: FlowCheck = no_more) -> Flow:
    """A flow from plain data. Raises InvalidFlow."""
    if not isinstance(entry, dict):
        raise InvalidFlow([FieldMistake((), "expected a flow: an object with name and entrypoint")])
    try:
        flow = Flow.model_validate(entry)
    except ValidationError as error:
        raise InvalidFlow(explain(error, Flow)) from None
    check(flow)
    return flow


def readable_name(entry: Any) -> str:
    """The entry's own name, shortened; empty if it has none."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return name[:64] if isinstance(name, str) else ""


def without_repetitions(flows: Iterable[FoundFlow]) -> tuple[list[FoundFlow], list[FlowProblem]]:
    """The first flow of each name, and a problem for each later one."""
    names = FlowNames()
    kept: list[FoundFlow] = []
    problems: list[FlowProblem] = []
    for found in flows:
        if reason := names.claim(found.flow.name, place(found.source, found.line), found.flow.offers):
            problems.append(NameTaken.of(found.flow.name, reason, found.source, found.line))
        else:
            kept.append(found)
    return kept, problems
