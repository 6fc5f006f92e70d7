"""From the registry row to the table that is served: flows read one by one, conflicts settled, checks compiled."""

from collections.abc import Iterable, Iterator
from typing import Any

from asya_crds import jsontext
from asya_crds.flows_file import InvalidFlows, flow_of, readable_name
from asya_crds.schema_walk import BrokenSchema
from asya_gateway.domain.flows import FlowProblem, FlowTable, ServedFlow
from asya_gateway.domain.registry import RegistryRow
from asya_gateway.registry.schemas import compile_schema


class TableBuilder:
    """Makes tables; what did not change since the last one is taken from there. Runs in a thread, one at a time."""

    def __init__(self) -> None:
        self._known: dict[str, ServedFlow] = {}

    def build(self, row: RegistryRow) -> FlowTable:
        """The row's table. A flow that cannot be served is among the problems; never raises for what it holds."""
        served: dict[str, ServedFlow] = {}
        problems: list[FlowProblem] = []
        known: dict[str, ServedFlow] = {}
        # The ConfigMap's flows come first, and the first of a name is served (docs/protocols/registry.md).
        for part in (row.configmap, row.resources):
            document = jsontext.loads(part, max_depth=2 * jsontext.MAX_DEPTH)
            problems += _problems(document.get("problems", ()))
            for entry in document.get("flows", ()):
                key = jsontext.dumps(entry)
                found = self._known.get(key) or _serve(entry)
                if isinstance(found, FlowProblem):
                    problems.append(found)
                    continue
                known[key] = found
                winner = served.setdefault(found.flow.name, found)
                if winner is not found:
                    problems.append(_taken(found, winner))
        self._known = known
        return FlowTable.of(row.generation, served.values(), problems)


def _serve(entry: dict[str, Any]) -> ServedFlow | FlowProblem:
    source, line, raw = entry.get("source", ""), entry.get("line"), entry.get("flow")
    try:
        flow = flow_of(raw)
    except InvalidFlows as error:
        return FlowProblem(readable_name(raw), str(error), line, source)
    try:
        check = compile_schema(flow.mcp.input_schema if flow.mcp else {}, known_good=True)
    except BrokenSchema as error:
        return FlowProblem(flow.name, f"mcp.inputSchema: {error}", line, source)
    check_result = None
    if flow.mcp is not None and flow.mcp.output_schema is not None:
        try:
            check_result = compile_schema(flow.mcp.output_schema, known_good=True)
        except BrokenSchema as error:
            return FlowProblem(flow.name, f"mcp.outputSchema: {error}", line, source)
    return ServedFlow(flow, check, source, line, check_result)


def _taken(loser: ServedFlow, winner: ServedFlow) -> FlowProblem:
    where = f"{winner.source}, line {winner.line}" if winner.line else winner.source
    return FlowProblem(loser.flow.name, f"the name is taken by {where}", loser.line, loser.source)


def _problems(found: Iterable[dict[str, Any]]) -> Iterator[FlowProblem]:
    for problem in found:
        yield FlowProblem(
            problem.get("name", ""), problem.get("reason", ""), problem.get("line"), problem.get("source", "")
        )
