"""Durations are read in the words that users use."""

import pytest

from asya_crds.durations import parse_duration


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0s"), (0.05, "50ms"), (1, "1s"), (90, "1m30s"), (86_400, "24h"), (5_400.25, "1h30m250ms")],
)
def test_a_duration_is_read_in_all_its_units(seconds: float, written: str) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("wrong", ["", "soon", "1h30", "1 h", "-5s", "-1", "nan", "inf", True, "1" * 65 + "x"])
def test_an_invalid_duration_is_refused_with_what_was_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(wrong)
