"""Durations as users write them: `10s`, `5m`, `1h30m`, `250ms`, or a number of seconds."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
LONGEST_TEXT = 64
_LONGEST = 10 * 365 * 86400.0
"""Ten years in seconds. A longer duration is a typing mistake, and arithmetic on times could overflow."""


def parse_duration(value: Any) -> float:
    """Seconds of a Go-style duration string or a number.

    Raises ValueError with what was expected, also for negative, infinite and absurdly long durations.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected a duration such as 10s, 5m, 1h30m, or a number of seconds")
    # Compared before the conversion: an integer may be too large for a float.
    seconds = _parse_text(value.strip()) if isinstance(value, str) else value
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(f"expected a duration between 0 and {_LONGEST:.0f} seconds, got {_quoted(value)}")
    return float(seconds)


def _parse_text(text: str) -> float:
    # The search below is quadratic, and no duration is that long.
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"expected a duration such as 10s, 5m, 1h30m, got {_quoted(text)}")
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected a duration such as 10s, 5m, 1h30m, got {_quoted(text)}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _quoted(value: str | int | float) -> str:
    """The given value, shortened, because it may be of any length."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "an integer beyond 64 bits"
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""A pydantic field of seconds that accepts what parse_duration accepts."""
