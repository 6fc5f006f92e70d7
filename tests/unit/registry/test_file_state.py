"""GET /health/flows says what became of the mounted file."""

from pathlib import Path
from typing import Any

import pytest

from asya_gateway.domain.registry import FileVerdict, OfferResult
from asya_gateway.registry.file_watch import FileWatch

GOOD = "flows: [{name: a, entrypoint: b}]"
BROKEN = "flows:\n- name: work\n  mcp: [\n"


class Row:
    """A registry row that gives one verdict on every file."""

    def __init__(self, verdict: FileVerdict) -> None:
        self.verdict = verdict

    async def offer_file(self, _part: Any, _former: str | None) -> OfferResult:
        return OfferResult(self.verdict, None)


@pytest.mark.parametrize(
    ("text", "verdict", "state", "reason"),
    [
        (GOOD, FileVerdict.TAKEN, "served", "its flows are served"),
        (GOOD, FileVerdict.SAME, "served", "its flows are served"),
        (BROKEN, FileVerdict.TAKEN, "unreadable", "not YAML: flows.yaml; the last valid flows stay"),
        (BROKEN, FileVerdict.SAME, "unreadable", "not YAML: flows.yaml; the last valid flows stay"),
        (BROKEN, FileVerdict.OPERATOR, "operator", "the operator is alive and reads the ConfigMap itself"),
    ],
)
async def test_a_file_that_is_not_yaml_is_not_said_to_be_served(
    tmp_path: Path, text: str, verdict: FileVerdict, state: str, reason: str
) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(text)
    watch = FileWatch(Row(verdict), str(path))  # type: ignore[arg-type]
    await watch.look()
    assert (watch.state.state, watch.state.reason) == (state, reason)
    path.write_text(GOOD)
    await watch.look()
    assert watch.state.state == ("served" if state == "unreadable" else state)
