"""The Helm chart on a running cluster: both releases in either order, upgrade, rollback, and what outlives them."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.chart import HelmUnavailable, helm_program
from tests.e2e.callers import Callers
from tests.e2e.cluster import ROOT, Cluster, Door
from tests.e2e.objects import actor, flow, handlers, image
from tests.support.missing import missing
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)
NAMESPACE = "asya-helm"
DATABASE = "asya_helm"
API, MESH = "asya-gateway", "asya-gateway-mesh"
DEPLOYMENTS = ("asya-gateway-api", "asya-gateway-mesh", "asya-operator", "asya-crew")
SMALL = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}


class Releases:
    """Both releases of the seed in a namespace, with a database of their own in the server of the overlay `kind`."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self.cluster = cluster

    def values(self, mode: str, **changes: Any) -> dict[str, Any]:
        """The values of a release; the seed's, and little resources."""
        repository, tag = image().rsplit(":", 1)
        return {
            "mode": mode,
            "image": {"repository": repository, "tag": tag},
            "replicaCount": 1,
            "config": {
                "postgresHost": "postgres.asya.svc",
                "postgresDatabase": DATABASE,
                "postgresPasswordSecretRef": {"name": "postgres-secret", "key": "password"},
            },
            "resources": SMALL,
            "operator": {"replicaCount": 1, "resources": SMALL},
            "crew": {"replicaCount": 1, "resources": SMALL},
            **changes,
        }

    def helm(self, *words: str) -> str:
        """What helm prints."""
        command = [helm_program(), *words, "--namespace", NAMESPACE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
        assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}"
        return done.stdout

    def install(self, release: str, mode: str, **changes: Any) -> str:
        """Install or upgrade a release."""
        return self.helm(
            "upgrade", "--install", release, "manifests/chart", "--values", self.write(release, mode, changes)
        )

    def take_over(self, release: str, mode: str) -> str:
        """Install a release over what `kubectl apply` made: the overlay's CRDs."""
        forced = ("--take-ownership", "--force-conflicts")
        return self.helm("install", release, "manifests/chart", "--values", self.write(release, mode, {}), *forced)

    def write(self, release: str, mode: str, changes: dict[str, Any]) -> str:
        """The path of the values."""
        path = self.folder / f"{release}.yaml"
        path.write_text(yaml.safe_dump(self.values(mode, **changes)))
        return str(path)

    async def ready(self) -> None:
        """Wait until everything is rolled out."""
        await self.cluster.rolled_out(*DEPLOYMENTS)


@pytest.fixture
def releases(installed: Cluster, tmp_path: Path) -> Iterator[Releases]:
    """An empty namespace with the Secrets that docs/operations.md names, and an empty database."""
    try:
        helm_program()
    except HelmUnavailable as reason:
        missing(reason)
    cluster = Cluster(NAMESPACE)
    cluster.delete("namespace", NAMESPACE, "--timeout=120s")
    installed.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    installed.sql(f"CREATE DATABASE {DATABASE}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    url = f"postgresql://asya:asya@postgres.asya.svc:5432/{DATABASE}"
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        _secret("postgres-secret", password="asya"),
        _secret("asya-transport", ASYA_DATABASE_URL=url),
    )
    try:
        yield Releases(tmp_path, cluster)
    except BaseException:
        print(cluster.describe())
        raise
    finally:
        cluster.delete("namespace", NAMESPACE, "--timeout=120s")


def _secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


@asynccontextmanager
async def callers_of(cluster: Cluster) -> AsyncIterator[Callers]:
    """Callers of the api Service of the namespace."""
    door = Door(cluster)
    callers = Callers(door.url)
    try:
        yield callers
    finally:
        await callers.close()
        door.close()


async def answered(cluster: Cluster, name: str) -> None:
    """A call of the flow succeeds, within the time in which pods hear of it."""
    async with callers_of(cluster) as callers:

        async def works() -> bool:
            status, task = await callers.post(name, {"text": "hi"}, wait=30)
            return status == 200 and task["status"] == "succeeded"

        await until(works, 60, f"a call of {name}")


async def test_both_releases_live_through_upgrade_rollback_and_a_new_installation(releases: Releases) -> None:
    cluster = releases.cluster
    # The half for callers first: it waits for the migrations of the other one.
    assert "helm install asya-gateway-mesh" in releases.install(API, "api")
    releases.take_over(MESH, "mesh")
    await releases.ready()
    cluster.apply(handlers(), actor("shout", "shout"), flow("kept", "shout"))
    exposed = yaml.safe_dump({"flows": [{"name": "exposed", "description": "d", "entrypoint": "shout", "mcp": {}}]})
    patch = json.dumps({"data": {"flows.yaml": exposed}})
    cluster.kubectl("patch", "configmap", "gateway-flows", "--type=merge", "--patch", patch)
    await cluster.programmed("kept")
    await answered(cluster, "exposed")

    # An upgrade that changes pods and the migration Job.
    changed = {"image": {**releases.values("api")["image"], "pullPolicy": "Never"}, "podAnnotations": {"a": "b"}}
    releases.install(API, "api", **changed)
    releases.install(MESH, "mesh", **changed)
    await releases.ready()
    jobs = [job["metadata"]["name"] for job in cluster.get("jobs")["items"]]
    assert len(jobs) == 1
    await answered(cluster, "exposed")
    await answered(cluster, "kept")

    for release in (API, MESH):
        releases.helm("rollback", release, "1")
    await releases.ready()
    assert [job["metadata"]["name"] for job in cluster.get("jobs")["items"]] != jobs
    cluster.kubectl("wait", "job", "--all", "--for=condition=Complete", "--timeout=120s", timeout=130)
    await answered(cluster, "exposed")

    for release in (MESH, API):
        releases.helm("uninstall", release, "--wait")
    assert cluster.get("deployments")["items"] == [] or {
        each["metadata"]["name"] for each in cluster.get("deployments")["items"]
    } == {"shout"}
    assert "exposed" in cluster.get("configmap", "gateway-flows")["data"]["flows.yaml"]
    assert cluster.get("flow", "kept")["spec"]["entrypoint"] == "shout"

    # The other order, over what was kept.
    releases.install(MESH, "mesh")
    releases.install(API, "api")
    await releases.ready()
    await answered(cluster, "exposed")
