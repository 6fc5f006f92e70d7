"""The chart's objects are tried on the control plane of tests/kubernetes."""

from tests.kubernetes.conftest import control_plane, namespace

__all__ = ["control_plane", "namespace"]
