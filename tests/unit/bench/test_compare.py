"""The arithmetic of two trees side by side."""

import json
import math
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.compare import Pair, compare, render
from bench.figures import Figure, Target
from bench.registry import BENCHMARKS
from bench.stage import QUICK, Stage
from servers.commits import ROOT


def test_a_higher_rate_and_a_shorter_time_are_both_a_gain() -> None:
    assert Pair("rate", "/s", before=[100.0], now=[120.0]).gain == pytest.approx(1.2)
    assert Pair("time", "ms", before=[10.0], now=[8.0]).gain == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("now", "slower"), [([100.0, 100.0, 100.0], False), ([96.0, 97.0, 50.0], False), ([94.0, 90.0, 120.0], True)]
)
def test_the_median_of_the_pairs_decides_and_a_little_is_noise(now: list[float], slower: bool) -> None:
    assert Pair("a", "/s", before=[100.0] * 3, now=now).slower is slower


@pytest.mark.parametrize(
    "pair",
    [
        Pair("a", "/s", before=[1.0], now=[2.0], problems=["now: 3 requests were refused"]),
        Pair("a", "/s", before=[], now=[2.0]),
        Pair("a", "/s", before=[math.nan], now=[2.0]),
        Pair("a", "/s", before=[1.0], now=[0.0]),
    ],
)
def test_what_was_not_measured_is_never_called_as_fast(pair: Pair) -> None:
    assert pair.slower


def test_growth_around_zero_is_held_against_its_limit() -> None:
    assert not Pair("growth", "bytes a call", before=[-0.1], now=[9.0], limit=10.0).slower
    assert Pair("growth", "bytes a call", before=[9.0], now=[10.5], limit=10.0).slower


def test_both_trees_are_measured_in_turn_without_their_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Path] = []

    def benchmark(stage: Stage) -> list[Figure]:
        seen.append(stage.tree)
        [mine, peer] = stage.interleaved(lambda: 10.0, lambda: pytest.fail("a peer ran"))
        assert math.isnan(peer[0])
        target = Target(10.0, most=True)
        return [
            Figure("rate", mine[0], "/s", details={"gateway_cpu_us": [50.0]}),
            Figure("growth", 1.0, "bytes a call", target=target),
        ]

    monkeypatch.setitem(BENCHMARKS, "burst", benchmark)
    monkeypatch.setattr("bench.compare.unpacked", lambda _revision: tmp_path)
    stage = Stage(QUICK, lambda _text: None)
    try:
        pairs = compare(stage, "then", ["burst"])
    finally:
        stage.close()
    assert seen == [tmp_path, ROOT]
    assert stage.tree == ROOT
    assert [(pair.name, pair.slower) for pair in pairs] == [
        ("rate", False),
        ("rate, gateway's CPU a request", False),
        ("growth", False),
    ]
    assert "| rate   " in render(pairs, "then")
    assert "at most 10" in render(pairs, "then")


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--quick"], 0)])
def test_a_slower_figure_fails_unless_the_run_only_reports(
    options: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = Pair("a", "/s", before=[2.0], now=[1.0])
    monkeypatch.setattr("bench.__main__.compare", lambda _stage, _revision, _names: [slow])
    monkeypatch.setattr("bench.__main__.machine", dict)
    assert main(["compare", "then", "burst", *options, "--json", str(tmp_path / "pairs.json")]) == status
    assert "SLOWER" in capsys.readouterr().out
    written = json.loads((tmp_path / "pairs.json").read_text())
    assert (written["before"], written["figures"][0]["slower"]) == ("then", True)
