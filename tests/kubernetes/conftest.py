"""A control plane for the session, and a namespace for each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from servers.control_plane import ControlPlane, ControlPlaneUnavailable
from servers.operator_process import OperatorProcess
from tests.kubernetes.network import Network
from tests.kubernetes.recording_mesh import RecordingMesh
from tests.support.missing import missing

ROOT = Path(__file__).parents[2]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """A test that needs a program which is missing is skipped with the reason, or fails with ASYA_TEST_REQUIRE_ALL=1.
    This is true of fixtures, and of everything that the test calls."""
    try:
        return (yield)
    except ControlPlaneUnavailable as reason:
        missing(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """As pytest_runtest_setup."""
    try:
        return (yield)
    except ControlPlaneUnavailable as reason:
        missing(reason)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A running API server with our CRDs."""
    plane = ControlPlane()
    try:
        plane.start()
        plane.kubectl("apply", "-k", str(ROOT / "crds"))
        plane.kubectl("apply", "-f", str(ROOT / "crds" / "async-actor" / "async-actor.yaml"))
        plane.kubectl("wait", "--for=condition=Established", "crd/flows.asya.sh", "crd/asyncactors.asya.sh")
        yield plane
    finally:
        plane.close()


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A fresh namespace; it goes with the control plane."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def mesh() -> Iterator[RecordingMesh]:
    """A mesh that records what is pushed."""
    recording = RecordingMesh()
    yield recording
    recording.close()


class StartOperator(Protocol):
    """Start an operator for the test's namespace; it ends with the test."""

    def __call__(
        self, *, kubeconfig: Path | None = None, mesh_url: str | None = None, **settings: str
    ) -> OperatorProcess: ...


@pytest.fixture
def start_operator(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, tmp_path: Path
) -> Iterator[StartOperator]:
    """Operators as processes, with a short lease."""
    running: list[OperatorProcess] = []
    quick = {"ASYA_LEASE_DURATION": "6s", "ASYA_LEASE_RENEW_DEADLINE": "4500ms", "ASYA_LEASE_RETRY_PERIOD": "1s"}

    def start(*, kubeconfig: Path | None = None, mesh_url: str | None = None, **settings: str) -> OperatorProcess:
        operator = OperatorProcess(
            kubeconfig or control_plane.kubeconfig(namespace=namespace),
            namespace,
            mesh_url or mesh.url,
            tmp_path / f"operator-{len(running)}.log",
            **{**quick, **settings},
        )
        running.append(operator)
        return operator

    yield start
    for operator in running:
        operator.stop()
        print(f"--- {operator.name}\n{operator.output()}")


@pytest.fixture
def network(control_plane: ControlPlane) -> Iterator[Network]:
    """A way to the API server that can break."""
    way = Network(control_plane.port)
    yield way
    way.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes start, leases run out, servers restart: these tests wait longer than others on a busy machine."""
    here = Path(__file__).parent
    ours = {path for path in {item.path for item in items} if here in path.parents}
    for item in items:
        if item.path in ours and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(240))
