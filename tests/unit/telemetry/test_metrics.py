"""Bounds of labels, and readings that cannot be read."""

from prometheus_client import CollectorRegistry, generate_latest

from asya_gateway.exposition.labels import Bounded
from asya_gateway.exposition.metrics import MAX_FLOWS, Metrics
from asya_gateway.exposition.readings import Reading, Readings
from asya_gateway.exposition.tallies import Spreads


def served(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_values_beyond_the_bound_share_one_name() -> None:
    bounded = Bounded(2)
    assert [bounded(value) for value in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


def test_flows_that_callers_invent_do_not_become_a_series_each() -> None:
    metrics = Metrics()
    for number in range(MAX_FLOWS + 50):
        metrics.accepted(f"flow-{number}", "mesh", 0.01)
        metrics.ended(f"flow-{number}", "mesh", "succeeded", 1.0)
    text = served(metrics.registry)
    assert 'asya_tasks_accepted_total{flow="other",surface="mesh"} 50.0' in text
    assert text.count("asya_tasks_accepted_total{") == MAX_FLOWS + 1
    assert text.count("asya_task_seconds_count{") == MAX_FLOWS + 1


def test_two_programs_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.accepted("shout", "rest", 0.01)
    assert "asya_tasks_accepted_total{" in served(one.registry)
    assert "asya_tasks_accepted_total{" not in served(two.registry)


def test_a_clock_that_runs_behind_gives_no_negative_time() -> None:
    metrics = Metrics()
    metrics.ended("shout", "rest", "succeeded", -2.0)
    assert 'asya_task_seconds_sum{flow="shout"} 0.0' in served(metrics.registry)


def test_a_reading_that_fails_or_knows_nothing_leaves_the_others_alone() -> None:
    def broken() -> float:
        raise RuntimeError("not connected")

    registry = CollectorRegistry()
    registry.register(
        Readings(
            [
                Reading("a_broken", "Fails.", broken),
                Reading("an_absent", "Unknown.", lambda: None),
                Reading("a_good", "Works.", lambda: 7),
                Reading("some", "By kind.", lambda: {"x": 1, "y": 2}, label="kind"),
                Reading("a_count", "Counts.", lambda: 3, "counter"),
            ]
        )
    )
    samples = [line for line in served(registry).splitlines() if not line.startswith("#")]
    assert samples == ["a_good 7.0", 'some{kind="x"} 1.0', 'some{kind="y"} 2.0', "a_count_total 3.0"]


def test_a_histogram_counts_each_value_in_every_bucket_that_holds_it() -> None:
    registry = CollectorRegistry()
    spreads = Spreads("took_seconds", "Time.", ["kind"], (0.1, 1.0, 60.0))
    registry.register(spreads)
    for value in (0.05, 0.1, 0.5, 2.0, 61.0):
        spreads.labels("x").observe(value)
    samples = [line for line in served(registry).splitlines() if not line.startswith("#")]
    assert samples == [
        'took_seconds_bucket{kind="x",le="0.1"} 2.0',
        'took_seconds_bucket{kind="x",le="1.0"} 3.0',
        'took_seconds_bucket{kind="x",le="60.0"} 4.0',
        'took_seconds_bucket{kind="x",le="+Inf"} 5.0',
        'took_seconds_count{kind="x"} 5.0',
        'took_seconds_sum{kind="x"} 63.65',
    ]
