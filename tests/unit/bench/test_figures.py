"""The benchmark's own arithmetic."""

import json
import math
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.figures import Figure, Target, growth, median, paired_ratio, percentile
from bench.leaks import SAMPLES, sample
from bench.registry import BENCHMARKS
from bench.table import amount, as_json, render


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.99) == 99.0
    assert percentile(values, 0.5) == 50.0
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([1.0, 2.0], 1.0) == 2.0


def test_what_was_not_measured_is_no_number_and_meets_no_target() -> None:
    for nothing in (median([]), percentile([], 0.5), growth([(0.0, 1.0)])):
        assert math.isnan(nothing)
        assert not Target(0.0).met(nothing)
        assert not Target(1e9, most=True).met(nothing)


def test_a_ratio_pairs_runs_of_the_same_minute() -> None:
    # The machine halves its speed after the first pair: both sides do, and the ratio stays.
    assert paired_ratio([100.0, 50.0, 50.0], [200.0, 100.0, 100.0]) == 0.5


def test_one_disturbed_pair_of_three_does_not_decide() -> None:
    assert paired_ratio([90.0, 10.0, 92.0], [100.0, 100.0, 100.0]) == pytest.approx(0.9)


def test_growth_is_bytes_a_call() -> None:
    assert growth([(0.0, 1000.0), (10.0, 1050.0), (20.0, 1100.0)]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("target", "number", "met"),
    [
        (Target(0.8), 0.8, True),
        (Target(0.8), 0.79, False),
        (Target(5.0, most=True), 5.0, True),
        (Target(5.0, most=True), 5.1, False),
    ],
)
def test_a_target_is_met_on_its_bound(target: Target, number: float, met: bool) -> None:
    assert target.met(number) is met


def test_the_target_judges_the_ratio_where_there_is_one() -> None:
    figure = Figure("a", 100.0, "/s", peer="b", peer_value=200.0, ratio=0.5, target=Target(0.8))
    assert not figure.met
    assert Figure("a", 20.0, "kB", target=Target(34.0, most=True)).met


def test_a_broken_measurement_is_missed_whatever_its_number() -> None:
    assert not Figure("a", 100.0, "/s", ratio=2.0, target=Target(0.8), broken="answers other than 200").met
    assert not Figure("a", 100.0, "/s", broken="nothing arrived").met


def test_the_table_shows_figure_peer_ratio_target_and_verdict() -> None:
    figures = [
        Figure("burst", 4321.0, "/s", peer="pgbench", peer_value=5000.0, ratio=0.864, target=Target(0.8)),
        Figure("FLY", 1.0, "events/s", broken="3 of 5 arrived", notes=("slow",)),
    ]
    text = render(figures)
    assert "| burst  | 4,321/s    | pgbench: 5,000/s | 0.86x | >= 0.8x | ok     |" in text
    assert "- FLY: does not count: 3 of 5 arrived\n- FLY: slow" in text
    assert len({len(line) for line in text.splitlines()[:4]}) == 1


def test_the_file_carries_machine_figures_and_verdicts() -> None:
    found = as_json([Figure("a", 1.0, "ms", target=Target(5.0, most=True))], {"cpu": "2 x some"})
    assert found["machine"] == {"cpu": "2 x some"}
    assert found["figures"][0]["target"] == "<= 5"
    assert found["figures"][0]["met"] is True


def test_amounts_keep_the_digits_that_matter() -> None:
    assert amount(12345.6, "/s") == "12,346/s"
    assert amount(2.3456, "ms") == "2.35 ms"
    assert amount(math.nan, "ms") == "-"


def test_memory_is_sampled_after_each_step_with_the_first_as_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.leaks.time.sleep", lambda _: None)
    memory = iter(range(1000, 10_000, 100))
    samples, problem = sample(lambda count: count, lambda: next(memory), 50)
    assert problem == ""
    assert [calls for calls, _ in samples] == [50.0 * n for n in range(SAMPLES + 1)]
    assert growth(samples) == pytest.approx(2.0)


def test_memory_over_refused_calls_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.leaks.time.sleep", lambda _: None)
    assert sample(lambda count: count - 1, lambda: 0, 50)[1] == "1 of 50 calls were refused"


def test_an_unknown_benchmark_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["burst", "warp"])
    assert end.value.code == 2
    assert "no benchmark warp; there are burst, " in capsys.readouterr().err


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--quick"], 0)])
def test_a_missed_target_fails_unless_the_run_only_reports(
    options: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    missed = Figure("a", 1.0, "/s", peer="b", peer_value=2.0, ratio=0.5, target=Target(0.8))
    monkeypatch.setitem(BENCHMARKS, "burst", lambda _stage: [missed])
    monkeypatch.setattr("bench.__main__.machine", dict)
    assert main(["burst", *options, "--json", str(tmp_path / "figures.json")]) == status
    assert "MISSED" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["figures"][0]["name"] == "a"
