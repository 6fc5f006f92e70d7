"""What is exposed: a pure function from the ConfigMap, the Flows and the AsyncActors to a document and verdicts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from asya_crds.flow import Flow
from asya_crds.flow_resource import InvalidFlow, flow_from_resource, resource_flow_name
from asya_crds.flows_file import FlowMistake, FlowsText, FoundFlow, read_texts
from asya_crds.naming import CREW, FLOWS_CONFIGMAP
from asya_crds.registry_document import (
    MAX_ENTRIES,
    MAX_UNREADABLE,
    ConfigMapPart,
    Entry,
    Problem,
    ResourcesPart,
    bounded,
)
from asya_crds.yaml_text import Yaml
from asya_operator.domain.conditions import Condition, State
from asya_operator.domain.schemas import schema_problem
from asya_operator.domain.views import Body, age

YAML = Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError)
"""libyaml's parser where it is there: five times as fast."""

Texts = Mapping[str, str]
TextReader = Callable[[Texts], FlowsText]
FlowReader = Callable[[Body], Flow]
EntryMaker = Callable[[Flow, str, int | None], Entry]
SchemaCheck = Callable[[Flow], str | None]


def read_configmap(data: Texts) -> FlowsText:
    """Every flow and every mistake of the ConfigMap's text."""
    return read_texts({key: text.encode("utf-8", "surrogatepass") for key, text in data.items()}, YAML)


@dataclass(frozen=True, slots=True)
class Readers:
    """How the sources are read; replaced by ones that remember (memo.py) and answer the same."""

    text: TextReader = read_configmap
    flow: FlowReader = flow_from_resource
    entry: EntryMaker = Entry.of
    check: SchemaCheck = schema_problem


@dataclass(frozen=True, slots=True)
class ActorState:
    """An actor as flows see it. `ready` also holds while it naps: its queue exists and wakes it."""

    ready: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The three sources. `configmap` is the data of gateway-flows, None where there is no such ConfigMap;
    `actors` None where the cluster has no AsyncActor. `kept` are names that gateways serve of keys of the ConfigMap
    as they were when they could last be read; they count only while a key cannot."""

    configmap: Texts | None
    flows: Sequence[Body]
    actors: Mapping[str, ActorState] | None
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one flow, wherever it stands."""

    name: str
    accepted: Condition
    resolved: Condition

    @property
    def served(self) -> bool:
        """Only Accepted=False takes a flow out of service."""
        return self.accepted.holds


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """A verdict on an entry of the ConfigMap; `line` counts from 1 within the key `source`."""

    verdict: Verdict
    source: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Document:
    """What is pushed, per source. Flows that only a flow of the ConfigMap outranks are in it all the same, so
    that they are served once the ConfigMap lets go of the name while no operator runs."""

    configmap: ConfigMapPart
    resources: ResourcesPart


TextOf = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The document, the flows that are served by name, and a verdict for every Flow (by metadata.name) and for
    every entry of the ConfigMap. `judged` says which text of a Flow its verdict is about."""

    document: Document
    served: Mapping[str, Flow] = field(default_factory=dict)
    resources: Mapping[str, Verdict] = field(default_factory=dict)
    entries: tuple[EntryVerdict, ...] = ()
    judged: Mapping[str, TextOf] = field(default_factory=dict)


def compute(inputs: Inputs, readers: Readers | None = None) -> Outcome:
    """Decide what is served. The same inputs give the same outcome, whatever order the flows come in."""
    readers = readers or Readers()
    court = _Court(inputs.actors, readers)
    text = readers.text(inputs.configmap or {})
    kept = {source: inputs.kept.get(source, ()) for source in text.unreadable}
    configmap = court.configmap(text, kept, present=inputs.configmap is not None)
    resources = court.resources(inputs.flows)
    return Outcome(Document(configmap, resources), court.served, court.verdicts, tuple(court.entries), court.judged)


class _Court:
    """Judges one flow after the other, the ConfigMap's first, then Flows from the oldest on."""

    def __init__(self, actors: Mapping[str, ActorState] | None, readers: Readers) -> None:
        self._actors, self._readers = actors, readers
        self._taken: dict[str, str] = {}
        self.served: dict[str, Flow] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.entries: list[EntryVerdict] = []
        self.judged: dict[str, TextOf] = {}

    def configmap(self, text: FlowsText, kept: Mapping[str, Sequence[str]], *, present: bool) -> ConfigMapPart:
        flows, problems = [], [Problem.of(mistake) for mistake in text.problems]
        for mistake in text.problems:
            source = mistake.source
            verdict = _unreadable(mistake, kept[source]) if source in kept else _mistaken(mistake)
            self.entries.append(EntryVerdict(verdict, mistake.source, mistake.line))
        for found in text.flows:
            verdict = self._judge(found.flow, f"ConfigMap {FLOWS_CONFIGMAP}, {_place(found)}")
            self.entries.append(EntryVerdict(verdict, found.source, found.line))
            if verdict.served:
                flows.append(self._readers.entry(found.flow, found.source, found.line))
            else:
                problems.append(_problem(verdict, found.source, found.line))
        for source, names in kept.items():
            for name in names:
                self._taken.setdefault(name, f"ConfigMap {FLOWS_CONFIGMAP}, {source} as it was before it broke")
        if not present:
            return ConfigMapPart(hash=None)
        unreadable = list(text.unreadable)[:MAX_UNREADABLE]
        return ConfigMapPart(
            hash=text.hash, flows=flows[:MAX_ENTRIES], problems=bounded(problems), unreadable=unreadable
        )

    def resources(self, bodies: Iterable[Body]) -> ResourcesPart:
        flows, problems = [], []
        of_configmap = frozenset(self._taken)
        for body in sorted(bodies, key=age):
            name, source = body["metadata"]["name"], _source(body)
            flow: Flow | None = None
            try:
                flow = self._readers.flow(body)
                verdict = self._judge(flow, f"Flow {name}")
            except InvalidFlow as error:
                verdict = _invalid(resource_flow_name(body), str(error))
            self.verdicts[name] = verdict
            self.judged[name] = text_of(body)
            outranked = verdict.accepted.reason == "NameConflict" and verdict.name in of_configmap
            if flow is not None and (verdict.served or outranked):
                flows.append(self._readers.entry(flow, source, None))
            if not verdict.served:
                problems.append(_problem(verdict, source, None))
        return ResourcesPart(flows=flows[:MAX_ENTRIES], problems=bounded(problems))

    def _judge(self, flow: Flow, place: str) -> Verdict:
        if problem := self._readers.check(flow):
            return _invalid(flow.name, problem)
        resolved = resolve(flow, self._actors)
        if flow.name in self._taken:
            message = f"The name {flow.name} is taken by {self._taken[flow.name]}, which comes first; choose another."
            return Verdict(flow.name, Condition("Accepted", State.FALSE, "NameConflict", message), resolved)
        self._taken[flow.name] = place
        self.served[flow.name] = flow
        return Verdict(flow.name, _accepted(flow), resolved)


def _accepted(flow: Flow) -> Condition:
    if flow.mcp is None and flow.a2a is None:
        message = "Exposed nowhere: write `mcp: {}` or `a2a: {}` to expose it."
        return Condition("Accepted", State.TRUE, "NotExposed", message)
    return Condition("Accepted", State.TRUE, "Accepted", "The flow is valid.")


def _invalid(name: str, problem: str) -> Verdict:
    unknown = Condition("ResolvedRefs", State.UNKNOWN, "Invalid", "Not looked at, since the flow is invalid.")
    return Verdict(name, Condition("Accepted", State.FALSE, "Invalid", problem), unknown)


def _mistaken(mistake: FlowMistake) -> Verdict:
    verdict = _invalid(mistake.name, mistake.reason)
    if mistake.reason.startswith("the name is taken"):
        accepted = Condition("Accepted", State.FALSE, "NameConflict", mistake.reason)
        return Verdict(mistake.name, accepted, verdict.resolved)
    return verdict


def _unreadable(mistake: FlowMistake, kept: Sequence[str]) -> Verdict:
    """A key that is no YAML at all, half-written perhaps: gateways keep what it said before."""
    verdict = _invalid(mistake.name, mistake.reason)
    named = f" ({', '.join(kept[:20])}{' and more' if len(kept) > 20 else ''})" if kept else ""
    message = f"{mistake.reason}; what this key said before stays in force{named}"
    return Verdict(mistake.name, Condition("Accepted", State.FALSE, "Unreadable", message), verdict.resolved)


def _problem(verdict: Verdict, source: str, line: int | None) -> Problem:
    return Problem(name=verdict.name[:256], reason=verdict.accepted.message[:4096], source=source[:1024], line=line)


def _place(found: FoundFlow) -> str:
    return f"{found.source} line {found.line}" if found.line else found.source


def _source(body: Body) -> str:
    return f"Flow/{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"


def text_of(body: Body) -> TextOf:
    """What changes with every edit of an object's spec, and with the object: (uid, generation)."""
    return str(body["metadata"].get("uid") or ""), int(body["metadata"].get("generation") or 0)


def resolve(flow: Flow, actors: Mapping[str, ActorState] | None) -> Condition:
    """Whether every actor on the route exists and is ready or napping."""
    if actors is None:
        message = "The cluster has no AsyncActor resources, so that actors are not looked for."
        return Condition("ResolvedRefs", State.UNKNOWN, "ActorsNotWatched", message)
    named = [actor for actor in dict.fromkeys(flow.actors) if actor not in CREW]
    missing = [actor for actor in named if actor not in actors]
    if missing:
        message = f"No AsyncActor for {', '.join(missing)}: calls wait in the queue until there is one."
        return Condition("ResolvedRefs", State.FALSE, "ActorNotFound", message)
    unready = [(actor, actors[actor].message) for actor in named if not actors[actor].ready]
    if unready:
        parts = "; ".join(f"{actor}: {message}" if message else actor for actor, message in unready)
        message = f"Not ready: {parts}. Calls wait in the queue until it is."
        return Condition("ResolvedRefs", State.FALSE, "ActorNotReady", message)
    return Condition("ResolvedRefs", State.TRUE, "ResolvedRefs", "Every actor exists and is ready or napping.")
