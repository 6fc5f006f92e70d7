"""Which flows are exposed: a pure function from the ConfigMap, the Flows and the AsyncActors to a document and
verdicts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowNames, FlowProblem, NameTaken, UnreadableSource
from asya_crds.flow_resource import flow_from_resource, resource_flow_name
from asya_crds.flow_sets import MAX_SETS
from asya_crds.flows_file import FlowsText, FoundFlow, InvalidFlow, read_texts
from asya_crds.naming import CREW, FLOWS_CONFIGMAP
from asya_crds.registry_document import (
    MAX_ENTRIES,
    MAX_UNREADABLE,
    ConfigMapPart,
    Entry,
    ResourcesPart,
    bounded,
)
from asya_crds.yaml_text import Yaml
from asya_operator.domain.conditions import Condition, ConditionStatus
from asya_operator.domain.views import Body, age
from asya_schemas.flows import check_flow

YAML = Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError)
"""libyaml's parser if it is installed: five times as fast."""

Texts = Mapping[str, str]
TextReader = Callable[[Texts], FlowsText]
FlowReader = Callable[[Body], Flow]
EntryMaker = Callable[[Flow, str, int | None], Entry]


def read_configmap(data: Texts) -> FlowsText:
    """Every flow and every mistake in the ConfigMap's text."""
    return read_texts({key: text.encode("utf-8", "surrogatepass") for key, text in data.items()}, YAML, check_flow)


def read_resource(body: Body) -> Flow:
    """The flow of a Flow resource, whose schemas every gateway can use. Raises InvalidFlow."""
    return flow_from_resource(body, check_flow)


@dataclass(frozen=True, slots=True)
class Readers:
    """How the sources are read. memo.py has caching ones with the same results."""

    text: TextReader = read_configmap
    flow: FlowReader = read_resource
    entry: EntryMaker = Entry.of


@dataclass(frozen=True, slots=True)
class ActorReadiness:
    """The state of an actor that matters to flows. `ready` is also true while it naps, because its queue exists and
    wakes it."""

    ready: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The three sources. `configmap` is the data of gateway-flows, None if there is no such ConfigMap. `actors` is None
    if the cluster does not have the kind AsyncActor. `kept` has, for each key of the ConfigMap, the names that gateways
    serve from its last readable version; it is used only while the key is unreadable."""

    configmap: Texts | None
    flows: Sequence[Body]
    actors: Mapping[str, ActorReadiness] | None
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions of one flow, from either source."""

    name: str
    accepted: Condition
    resolved: Condition

    @property
    def served(self) -> bool:
        """Whether the flow is served: everything except Accepted=False."""
        return self.accepted.holds


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """A verdict on an entry of the ConfigMap; `line` counts from 1 within the key `source`."""

    verdict: Verdict
    source: str
    line: int | None


@dataclass(frozen=True, slots=True)
class RegistryDocument:
    """What is pushed, per source. It includes Flows whose name is taken by a flow of the ConfigMap, so that they are
    served if the ConfigMap releases the name while no operator runs."""

    configmap: ConfigMapPart
    resources: ResourcesPart


TextOf = tuple[str, int]
Place = tuple[str, int | None]
"""The source and the line of an entry."""


@dataclass(frozen=True, slots=True)
class ComputedRegistry:
    """The document, the served flows by name and the location of each, and a verdict for every Flow (by metadata.name)
    and every entry of the ConfigMap. `judged` says which version of a Flow its verdict is about."""

    document: RegistryDocument
    served: Mapping[str, Flow] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    resources: Mapping[str, Verdict] = field(default_factory=dict)
    entries: tuple[EntryVerdict, ...] = ()
    judged: Mapping[str, TextOf] = field(default_factory=dict)

    def left_out(self, problems: Iterable[FlowProblem]) -> dict[str, str]:
        """The flows that this decision serves but gateways do not, with the reason. (Gateways read the push with their
        own version of the contract. Their problems also include flows that this decision refuses.)"""
        return {each.name: each.reason for each in problems if self.places.get(each.name) == (each.source, each.line)}


def compute(inputs: Inputs, readers: Readers | None = None) -> ComputedRegistry:
    """Decide which flows are served. The outcome does not depend on the order of the flows."""
    readers = readers or Readers()
    building = _Building(inputs.actors, readers)
    text = readers.text(inputs.configmap or {})
    kept = {source: inputs.kept.get(source, ()) for source in text.unreadable}
    configmap = building.configmap(text, kept, present=inputs.configmap is not None)
    resources = building.resources(inputs.flows)
    return ComputedRegistry(
        RegistryDocument(configmap, resources),
        building.served,
        building.places,
        building.verdicts,
        tuple(building.entries),
        building.judged,
    )


class _Building:
    """Decides on the flows one by one: those of the ConfigMap first, then the Flows from the oldest to the newest."""

    def __init__(self, actors: Mapping[str, ActorReadiness] | None, readers: Readers) -> None:
        self._actors, self._readers = actors, readers
        self._names = FlowNames()
        self.served: dict[str, Flow] = {}
        self.places: dict[str, Place] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.entries: list[EntryVerdict] = []
        self.judged: dict[str, TextOf] = {}

    def configmap(self, text: FlowsText, kept: Mapping[str, Sequence[str]], *, present: bool) -> ConfigMapPart:
        flows = []
        for problem in text.problems:
            verdict = _refused(problem, kept.get(problem.source, ()))
            self.entries.append(EntryVerdict(verdict, problem.source, problem.line))
        for found in text.flows:
            # The reader has already decided which of the ConfigMap's flows owns a name.
            verdict = self._decide(found.flow, (found.source, found.line), f"ConfigMap {FLOWS_CONFIGMAP}, {_at(found)}")
            self.entries.append(EntryVerdict(verdict, found.source, found.line))
            flows.append(self._readers.entry(found.flow, found.source, found.line))
        for source, names in kept.items():
            for name in names:
                self._names.claim(name, f"ConfigMap {FLOWS_CONFIGMAP}, {source} (previous version)")
        if not present:
            return ConfigMapPart(hash=None)
        unreadable = list(text.unreadable)[:MAX_UNREADABLE]
        return ConfigMapPart(
            hash=text.hash,
            flows=flows[:MAX_ENTRIES],
            problems=bounded(text.problems),
            unreadable=unreadable,
            sets=list(text.sets)[:MAX_SETS],
        )

    def resources(self, bodies: Iterable[Body]) -> ResourcesPart:
        flows, problems = [], []
        of_configmap = self._names.taken()
        for body in sorted(bodies, key=age):
            name, source = body["metadata"]["name"], _source(body)
            self.judged[name] = text_of(body)
            try:
                flow = self._readers.flow(body)
            except InvalidFlow as error:
                problem = FlowProblem.of(resource_flow_name(body), str(error), source)
                self.verdicts[name] = _refused(problem)
                problems.append(problem)
                continue
            verdict = self.verdicts[name] = self._decide(flow, (source, None), f"Flow {name}")
            if verdict.served or flow.name in of_configmap:
                flows.append(self._readers.entry(flow, source, None))
            if not verdict.served:
                problems.append(NameTaken.of(flow.name, verdict.accepted.message, source))
        return ResourcesPart(flows=flows[:MAX_ENTRIES], problems=bounded(problems))

    def _decide(self, flow: Flow, place: Place, where: str) -> Verdict:
        resolved = resolve(flow, self._actors)
        if taken := self._names.claim(flow.name, where, flow.offers):
            return Verdict(flow.name, Condition("Accepted", ConditionStatus.FALSE, "NameConflict", taken), resolved)
        self.served[flow.name] = flow
        self.places[flow.name] = place
        return Verdict(flow.name, _accepted(flow), resolved)


def _accepted(flow: Flow) -> Condition:
    if not flow.exposed:
        message = "Not exposed: write `mcp: {}` or `a2a: {}` to expose it."
        if flow.mcp is not None:
            message = "Not exposed: with `tool: false`, write `prompt: {}` or a `resource` with a `uri` beside it."
        return Condition("Accepted", ConditionStatus.TRUE, "NotExposed", message)
    return Condition("Accepted", ConditionStatus.TRUE, "Accepted", "The flow is valid.")


def _refused(problem: FlowProblem, kept: Sequence[str] = ()) -> Verdict:
    """The verdict for a problem. `kept` are the names that gateways still serve from an unreadable source."""
    reason, message = "Invalid", problem.reason
    match problem:
        case NameTaken():
            reason = "NameConflict"
        case UnreadableSource():
            named = f" ({', '.join(kept[:20])}{' and more' if len(kept) > 20 else ''})" if kept else ""
            reason = "Unreadable"
            message = f"{problem.reason}; the previous flows of this key stay in force{named}"
        case _:
            pass
    unknown = Condition("ResolvedRefs", ConditionStatus.UNKNOWN, "Invalid", "Not checked, because the flow is invalid.")
    return Verdict(problem.name, Condition("Accepted", ConditionStatus.FALSE, reason, message), unknown)


def _at(found: FoundFlow) -> str:
    return f"{found.source} line {found.line}" if found.line else found.source


def _source(body: Body) -> str:
    return f"Flow/{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"


def text_of(body: Body) -> TextOf:
    """Identifies an object and the version of its spec: (uid, generation)."""
    return str(body["metadata"].get("uid") or ""), int(body["metadata"].get("generation") or 0)


def resolve(flow: Flow, actors: Mapping[str, ActorReadiness] | None) -> Condition:
    """Whether every actor on the route exists and is ready or napping."""
    if actors is None:
        message = "The cluster has no AsyncActor resources, so actors are not checked."
        return Condition("ResolvedRefs", ConditionStatus.UNKNOWN, "ActorsNotWatched", message)
    named = [actor for actor in dict.fromkeys(flow.actors) if actor not in CREW]
    missing = [actor for actor in named if actor not in actors]
    if missing:
        message = f"No AsyncActor for {', '.join(missing)}: calls wait in the queue until it exists."
        return Condition("ResolvedRefs", ConditionStatus.FALSE, "ActorNotFound", message)
    unready = [(actor, actors[actor].message) for actor in named if not actors[actor].ready]
    if unready:
        parts = "; ".join(f"{actor}: {message}" if message else actor for actor, message in unready)
        message = f"Not ready: {parts}. Calls wait in the queue until it is."
        return Condition("ResolvedRefs", ConditionStatus.FALSE, "ActorNotReady", message)
    return Condition(
        "ResolvedRefs", ConditionStatus.TRUE, "ResolvedRefs", "Every actor exists and is ready or napping."
    )
