"""Caches what was read, so that a change of one flow does not cause a thousand to be read again."""

from collections.abc import Sequence

from asya_crds.flow import Flow
from asya_crds.flows_file import FlowsText, InvalidFlow
from asya_crds.registry_document import Entry
from asya_operator.domain.registry import Readers, Texts, read_configmap, read_resource
from asya_operator.domain.views import Body

Key = tuple[str, int]


class Memo:
    """Readers for registry.compute: the ConfigMap by its bytes, Flows by uid and generation."""

    def __init__(self) -> None:
        self._data: Texts | None = None
        self._text = FlowsText("")
        self._flows: dict[Key, Flow | InvalidFlow] = {}
        self._entries: dict[int, tuple[Flow, Entry]] = {}
        self.readers = Readers(self.text, self.flow, self.entry)

    def text(self, data: Texts) -> FlowsText:
        """read_configmap, run again only if the bytes changed."""
        if self._data != data:
            self._text = read_configmap(data)
            self._data = dict(data)
        return self._text

    def flow(self, body: Body) -> Flow:
        """read_resource, run again only if the spec changed."""
        key = _key(body)
        if key not in self._flows:
            self._flows[key] = _read(body)
        found = self._flows[key]
        if isinstance(found, InvalidFlow):
            raise InvalidFlow(found.mistakes)
        return found

    def entry(self, flow: Flow, source: str, line: int | None) -> Entry:
        """Entry.of, called again only for another flow object."""
        known = self._entries.get(id(flow))
        if known is None or known[0] is not flow or (known[1].source, known[1].line) != (source, line):
            known = (flow, Entry.of(flow, source, line))
            self._entries[id(flow)] = known
        return known[1]

    def forget_all_but(self, bodies: Sequence[Body]) -> None:
        """Drop everything except what belongs to these Flows in their current form and to the ConfigMap."""
        kept = {_key(body) for body in bodies}
        self._flows = {key: flow for key, flow in self._flows.items() if key in kept}
        alive = {id(flow) for flow in self._flows.values()} | {id(found.flow) for found in self._text.flows}
        self._entries = {key: entry for key, entry in self._entries.items() if key in alive}


def _key(body: Body) -> Key:
    metadata = body["metadata"]
    return str(metadata.get("uid")), int(metadata.get("generation") or 0)


def _read(body: Body) -> Flow | InvalidFlow:
    try:
        return read_resource(body)
    except InvalidFlow as error:
        return error
