"""Without an operator, the mounted ConfigMap is served."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.e2e.callers import Callers
from tests.e2e.cluster import Cluster
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)
SWAP = 240.0
"""Seconds: the operator's sign of life grows old in 30, kubelet swaps within about a minute, api pods look each 10."""


@pytest.fixture
async def without_operator(cluster: Cluster) -> AsyncIterator[None]:
    before = cluster.get("configmap", "gateway-flows").get("data", {})
    cluster.kubectl("scale", "deployment/asya-operator", "--replicas=0")
    await until(lambda: not cluster.get("pods", "-l", "asya.sh/component=operator")["items"], 60, "no operator")
    yield
    write(cluster, before.get("flows.yaml", "flows: []\n"))
    cluster.kubectl("scale", "deployment/asya-operator", "--replicas=2")
    await cluster.rolled_out("asya-operator")


def write(cluster: Cluster, text: str) -> None:
    cluster.kubectl(
        "patch", "configmap", "gateway-flows", "--type=merge", "-p", json.dumps({"data": {"flows.yaml": text}})
    )


async def test_kubelets_swap_of_the_configmap_alone_reloads_the_flows(
    cluster: Cluster, callers: Callers, without_operator: None
) -> None:
    write(cluster, "flows:\n  - {name: mounted, entrypoint: shout, description: From the mount., mcp: {}}\n")

    async def answers() -> bool:
        return (await callers.post("mounted", {"text": "x"}, 30))[0] == 200

    await until(answers, SWAP, "the flow of the mounted ConfigMap")
    write(
        cluster, "flows:\n  - {name: mounted, entrypoint: shout, routeNext: [mark], description: Changed., mcp: {}}\n"
    )

    async def changed() -> bool:
        return bool(await callers.result("mounted", {"text": "x"}) == {"text": "X!"})

    await until(changed, SWAP, "the changed flow")
