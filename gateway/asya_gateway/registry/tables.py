"""Builds the served table from the registry row: reads the flows one by one, resolves conflicts, compiles checks."""

from collections.abc import Iterable, Iterator
from typing import Any

from asya_crds import jsontext
from asya_crds.flow_problem import FlowNames, FlowProblem, NameTaken, place
from asya_crds.flows_file import InvalidFlow, flow_of, readable_name
from asya_gateway.domain.flows import FlowTable, ServedFlow
from asya_gateway.registry.row_documents import RowDocuments
from asya_schemas.flows import compile_flow


class TableBuilder:
    """Builds tables. Unchanged flows are taken from the previous table. It runs in a thread, one build at a time."""

    def __init__(self) -> None:
        self._known: dict[str, ServedFlow] = {}

    def build(self, row: RowDocuments) -> FlowTable:
        """The row's table. Flows that cannot be served become problems; the content never makes it raise."""
        names = FlowNames()
        served: list[ServedFlow] = []
        problems: list[FlowProblem] = []
        known: dict[str, ServedFlow] = {}
        sets: dict[str, frozenset[str]] = {}
        for entries, told, named in row.documents:
            sets = {**{each["name"]: frozenset(each["flows"]) for each in named}, **sets}
            problems += _problems(told)
            for key in entries:
                found = self._known.get(key) or _serve(key)
                if isinstance(found, FlowProblem):
                    problems.append(found)
                    continue
                known[key] = found
                name = found.flow.name
                if reason := names.claim(name, place(found.source, found.line), found.flow.offers):
                    problems.append(NameTaken.of(name, reason, found.source, found.line))
                else:
                    served.append(found)
        self._known = known
        return FlowTable.of(row.generation, served, problems, sets, row.changed_at)


def _serve(text: str) -> ServedFlow | FlowProblem:
    entry: dict[str, Any] = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    source, line, raw = entry.get("source", ""), entry.get("line"), entry.get("flow")
    try:
        flow = flow_of(raw)
        checks = compile_flow(flow)
    except InvalidFlow as error:
        return FlowProblem.of(readable_name(raw), str(error), source, line)
    return ServedFlow(flow, checks.call, source, line, checks.result, len(text), checks.arguments)


def _problems(found: Iterable[dict[str, Any]]) -> Iterator[FlowProblem]:
    for each in found:
        yield FlowProblem.of(each.get("name", ""), each.get("reason", ""), each.get("source", ""), each.get("line"))
