"""What a test does if a server is not available."""

import os
from typing import NoReturn

import pytest

from servers.processes import ServerUnavailable


def missing(reason: ServerUnavailable) -> NoReturn:
    """Skip with the reason, or fail with `ASYA_TEST_REQUIRE_ALL=1`."""
    if os.environ.get("ASYA_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"ASYA_TEST_REQUIRE_ALL is set, and {reason}")
    pytest.skip(str(reason))
