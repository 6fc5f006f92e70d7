"""Reading flows: from one document, and from all keys of a ConfigMap. One bad flow does not take the others along."""

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from asya_crds.flow import A2aExposure, Contract, Flow, McpExposure, camel
from asya_crds.schema_walk import BrokenSchema
from asya_crds.yaml_text import Mistake, Path, Unreadable, Yaml, parse

MAX_FLOWS = 10_000
SUFFIXES = (".yaml", ".yml")

LineOf = Callable[[Path], int | None]


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """A flow and where it stands; lines count from 1."""

    flow: Flow
    source: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class FlowMistake:
    """Why a flow, or a whole source, is not served. `name` is empty where the flow has none that can be read."""

    name: str
    reason: str
    source: str
    line: int | None = None

    def text(self) -> str:
        """One line for a log."""
        where = f"{self.source}, line {self.line}" if self.line else self.source
        return f"{where}: {self.name + ': ' if self.name else ''}{self.reason}"


@dataclass(frozen=True, slots=True)
class FlowsText:
    """What all keys of a ConfigMap (all files of the folder it is mounted to) say together."""

    hash: str
    flows: tuple[FoundFlow, ...] = ()
    problems: tuple[FlowMistake, ...] = ()
    unreadable: tuple[str, ...] = field(default=())
    """Sources that are no YAML (half-written, say): what they said last stays in force."""


def is_flows_key(name: str) -> bool:
    """Whether a key of the ConfigMap, or a file of the folder, is read: *.yaml and *.yml, no hidden ones."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def content_hash(texts: Mapping[str, bytes]) -> str:
    """`sha256:…` of the keys that are read, with their names; the same for a ConfigMap and the folder it fills."""
    digest = hashlib.sha256()
    for name in sorted(filter(is_flows_key, texts)):
        for part in (name.encode("utf-8", "surrogatepass"), texts[name]):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def read_texts(texts: Mapping[str, bytes], yaml: Yaml) -> FlowsText:
    """Read and merge every key, in the order of their names; of flows with one name the first is served.

    Never raises: what cannot be read is among the problems.
    """
    flows: list[FoundFlow] = []
    problems: list[FlowMistake] = []
    unreadable: list[str] = []
    for source in sorted(filter(is_flows_key, texts)):
        try:
            found, mistakes = read_text(texts[source], source, yaml)
        except Unreadable as error:
            problems.append(FlowMistake("", error.reason, source, error.line))
            unreadable.append(source)
            continue
        flows += found
        problems += mistakes
    kept, repeated = without_repetitions(flows)
    return FlowsText(content_hash(texts), tuple(kept), (*problems, *repeated), tuple(unreadable))


def read_text(text: bytes, source: str, yaml: Yaml) -> tuple[list[FoundFlow], list[FlowMistake]]:
    """Read one text. Raises Unreadable where it is no YAML."""
    try:
        document = parse(text.decode("utf-8-sig"), yaml)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from None
    return read_flows(document.value, source, line_of=document.line, mistakes=document.mistakes)


def read_flows(
    document: Any, source: str, *, line_of: LineOf = lambda _: None, mistakes: Iterable[Mistake] = ()
) -> tuple[list[FoundFlow], list[FlowMistake]]:
    """Flows and problems of a decoded document: `flows: [...]`, or one flow by itself. An empty one has no flows."""
    entries, problems = _entries(document, source, line_of)
    flows: list[FoundFlow] = []
    belonging: dict[Path, list[Mistake]] = {}
    length = len(entries[0][0]) if entries else 0
    for mistake in mistakes:
        belonging.setdefault(mistake.path[:length], []).append(mistake)
    for path, entry in entries:
        own = belonging.pop(path, [])
        found = _read_entry(entry, path, source, line_of, own)
        if isinstance(found, FoundFlow):
            flows.append(found)
        else:
            problems += found
    problems += [
        FlowMistake("", _worded(mistake.path, mistake.reason), source, mistake.line)
        for each in belonging.values()
        for mistake in each
    ]
    return flows, problems


def _entries(document: Any, source: str, line_of: LineOf) -> tuple[list[tuple[Path, Any]], list[FlowMistake]]:
    def wrong(reason: str, path: Path = ()) -> tuple[list[tuple[Path, Any]], list[FlowMistake]]:
        return [], [FlowMistake("", reason, source, line_of(path))]

    if document is None:
        return [], []
    if not isinstance(document, dict):
        return wrong("expected `flows:` with a list, or one flow by itself")
    if "flows" not in document:
        if "entrypoint" in document or "name" in document:
            return [((), document)], []
        return wrong("expected `flows:` with a list, or one flow with name and entrypoint")
    flows = document["flows"]
    if flows is None:
        return [], []
    if not isinstance(flows, list):
        return wrong("flows: expected a list", ("flows",))
    if len(flows) > MAX_FLOWS:
        return wrong(f"flows: expected at most {MAX_FLOWS}", ("flows",))
    problems = [
        FlowMistake("", f"{key}: unknown field beside flows", source, line_of((key,)))
        for key in document.keys() - {"flows", "version"}
    ]
    return [(("flows", index), entry) for index, entry in enumerate(flows)], problems


def _read_entry(
    entry: Any, path: Path, source: str, line_of: LineOf, mistakes: list[Mistake]
) -> FoundFlow | list[FlowMistake]:
    name = readable_name(entry)
    if mistakes:
        return [
            FlowMistake(name, _worded(mistake.path[len(path) :], mistake.reason), source, mistake.line)
            for mistake in mistakes
        ]
    try:
        return FoundFlow(flow_of(entry), source, line_of(path))
    except InvalidFlows as errors:
        return [FlowMistake(name, str(error), source, line_of((*path, *error.path))) for error in errors.errors]


class InvalidFlow(ValueError):
    """One mistake in a flow; `path` leads to it, through the field and `inside` it."""

    def __init__(self, path: Path, reason: str, inside: Path = ()) -> None:
        super().__init__(_worded(path, reason))
        self.path = (*path, *inside)


class InvalidFlows(ValueError):
    """All mistakes of one flow."""

    def __init__(self, errors: list[InvalidFlow]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


def flow_of(entry: Any) -> Flow:
    """A flow from plain data. Raises InvalidFlows."""
    if not isinstance(entry, dict):
        raise InvalidFlows([InvalidFlow((), "expected a flow: an object with name and entrypoint")])
    try:
        return Flow.model_validate(entry)
    except ValidationError as error:
        raise InvalidFlows([_explained(detail) for detail in error.errors(include_url=False)]) from None


def readable_name(entry: Any) -> str:
    """The name that an entry gives itself, cut short; empty where it has none."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return name[:64] if isinstance(name, str) else ""


PLAIN_WORDS = {
    "missing": "required field is missing",
    "string_type": "expected text; quote it if it looks like something else",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "list_type": "expected a list",
}
"""What the validator finds, by its names of mistakes, in words for whoever writes the file."""


def _explained(detail: ErrorDetails) -> InvalidFlow:
    path, kind = detail["loc"], detail["type"]
    message = PLAIN_WORDS.get(kind, detail["msg"].removeprefix("Value error, "))
    if kind == "extra_forbidden":
        message = f"unknown field{_suggestion(path)}"
    cause = detail.get("ctx", {}).get("error")
    return InvalidFlow(path, message, cause.path if isinstance(cause, BrokenSchema) else ())


def _suggestion(path: Path) -> str:
    """` (did you mean …?)` where a field of that place is spelled nearly so."""
    models: dict[object, type[Contract]] = {"mcp": McpExposure, "a2a": A2aExposure}
    model = models.get(path[0]) if len(path) > 1 else Flow
    known = [field.alias or name for name, field in model.model_fields.items()] if model is not None else []
    if (written := str(path[-1])) not in known and camel(written) in known:
        return f": it stands beside {camel(written)}, which is the same field"
    near = difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _worded(path: Path, reason: str) -> str:
    where = ".".join(str(part)[:80] for part in path)
    return f"{where}: {reason}" if where else reason


def without_repetitions(flows: Iterable[FoundFlow]) -> tuple[list[FoundFlow], list[FlowMistake]]:
    """The first flow of each name, and a problem for each one after it."""
    first: dict[str, FoundFlow] = {}
    problems = []
    for found in flows:
        winner = first.setdefault(found.flow.name, found)
        if winner is not found:
            where = f"{winner.source}, line {winner.line}" if winner.line else winner.source
            reason = f"the name is taken by {where}"
            problems.append(FlowMistake(found.flow.name, reason, found.source, found.line))
    return list(first.values()), problems
