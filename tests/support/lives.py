"""Tests that run once with a mesh that takes single reports only, and once with one that takes reports together."""

import pytest

EITHER = pytest.mark.parametrize("mesh", ["single", "batched"], indirect=True)
BATCHED = pytest.mark.parametrize("mesh", ["batched"], indirect=True)
SINGLE = pytest.mark.parametrize("mesh", ["single"], indirect=True)
