"""Tests that share the gateway which stands for their module, beside others that have one each."""

import pytest

AT_REST = pytest.mark.asyncio(loop_scope="module")
"""For a test that stores nothing, or looks at nothing that another one stored: starting a gateway for each of a dozen
refusals costs ten times what they do, and proves no more."""
