"""What the tests of identity services have in common."""

import pytest

from asya_gateway.mounted import reading


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is just writing these files."""
    monkeypatch.setattr(reading, "_SETTLE", 0.0)
