"""The verdict of a table of growth, and the orders of a crowd of pods."""

import pytest

from bench.scale.__main__ import TABLES, main
from bench.scale.operations import Costs
from bench.scale.pod_crowd import BELL, REGISTRY, Crowds
from bench.scale.tables import Growth, Table, as_json
from servers.databases import execute
from servers.statement_costs import StatementCost
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("judged", "bound", "verdict"),
    [
        ((100.0, 150.0, 200.0), None, "flat"),
        ((100.0, 201.0), None, "GROWS"),
        ((100.0, 201.0), 200.0, "GROWS"),
        ((100.0, 250.0), 250.0, "bounded"),
        ((100.0, 90.0), 10.0, "flat"),
        (None, None, ""),
    ],
)
def test_a_cost_is_flat_up_to_twice_the_smallest_and_may_be_bounded_by_design(
    judged: tuple[float, ...] | None, bound: float | None, verdict: str
) -> None:
    line = Growth("a", ["x"] * 2, judged, bound)
    assert line.verdict == verdict
    assert line.flat is (verdict != "GROWS")


def test_a_table_is_flat_if_every_line_is() -> None:
    table = Table("T", "rows", [10, 1_000], [Growth("a", ["1", "2"], (16.0, 17.0)), Growth("b", ["1", "9"])])
    assert table.flat
    lines = [line.replace(" ", "") for line in table.render().splitlines()]
    assert {"|rows|10|1,000||", "|a|1|2|flat|", "|b|1|9||"} <= set(lines)
    table.lines.append(Growth("c", ["1", "9"], (16.0, 90.0)))
    assert not table.flat
    assert as_json([table])["tables"][0]["flat"] is False


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["rows", "nothing"])
    assert error.value.code == 2
    assert f"no table nothing; there are {', '.join(TABLES)}" in capsys.readouterr().err


def test_only_what_an_operation_asks_is_its_cost() -> None:
    costs = Costs()
    for blocks in (3, 5, 40):
        with costs.of("a"):
            costs._now += [StatementCost("SELECT", blocks, 1.0), StatementCost("SELECT", 1, 0.5)]
    assert costs.medians() == {"a": (6.0, 1.5)}


async def test_pods_hear_read_and_beat(database_url: str) -> None:
    with Crowds(database_url, 5) as crowd:
        crowd.order("measure")
        execute(database_url, f"SELECT pg_notify('{BELL}', '0')", f"SELECT pg_notify('{REGISTRY}', '0')")
        await until(lambda: len(crowd.heard().heard) == len(crowd.heard().read) == 5)
        crowd.order("beat")
        await until(lambda: crowd.heard().beats >= 5)
