"""Durations that users and sidecars write, however wrong."""

import pytest

from asya_crds.durations import parse_duration


@pytest.mark.parametrize(
    "value",
    [10**4000, -(10**4000), 10**9, -1, 1e300, "1e400", "nan", "inf", "9" * 5000, "9" * 5000 + "s", "a" * 200_000, True],
    ids=lambda value: type(value).__name__,
)
def test_an_absurd_duration_is_refused_in_few_words(value: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration") as refusal:
        parse_duration(value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("value", "seconds"), [("1h30m", 5400.0), (5, 5.0), ("250ms", 0.25), (" 10s ", 10.0), (0, 0.0)]
)
def test_a_duration_is_read_as_seconds(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds
    assert isinstance(parse_duration(value), float)
