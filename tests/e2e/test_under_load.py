"""Under a steady load of calls and open streams: updates, kills and a database that goes away."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.e2e.callers import Callers
from tests.e2e.cluster import Cluster, Door
from tests.e2e.conftest import FIGURES
from tests.e2e.load import Load, resumed
from tests.e2e.objects import actor, flow
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)
AWAY = {"ServerDisconnectedError", "ClientConnectorError", "ClientOSError", "ConnectionResetError"}
"""What a caller sees of a pod that was killed."""


@pytest.fixture
def load(cluster: Cluster, door: Door, callers: Callers, work: str, request: pytest.FixtureRequest) -> Iterator[Load]:
    """A load of calls of the flow `work`; what was answered stands at the end of the test's output."""
    if not door.direct:
        pytest.skip("the Service is only reached by port-forward, which ends with its one pod")
    yield Load(cluster, callers, work)
    request.config.stash[FIGURES].append(
        f"{request.node.name}: {dict(callers.answers)}, {len(callers.readers)} readers, {resumed(callers)} resumed"
    )


async def kill(cluster: Cluster, pod: str) -> None:
    """Delete a pod without grace: its containers get SIGKILL."""
    await cluster.ask("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")


async def test_a_rolling_update_of_the_gateways_refuses_no_call_and_cuts_no_stream_for_good(
    cluster: Cluster, callers: Callers, load: Load
) -> None:
    gateways = ("asya-gateway-api", "asya-gateway-mesh")
    async with load.running():
        await load.open_streams(6, takes=40)
        await cluster.ask("rollout", "restart", *(f"deployment/{name}" for name in gateways))
        await cluster.rolled_out(*gateways)
    assert set(callers.answers) == {200}, callers.answers
    await load.audit()
    assert resumed(callers) > 0, "no stream was open on a pod that ended"


async def test_a_rolling_update_of_actors_crew_and_operator_is_not_noticed(
    cluster: Cluster, callers: Callers, load: Load
) -> None:
    async with load.running():
        await cluster.ask("rollout", "restart", "deployment/asya-crew", "deployment/asya-operator")
        # An actor is updated as its owner would do it; the operator's new leader has to see it.
        changed = [{"name": "UPDATED", "value": callers.url}]
        await asyncio.to_thread(cluster.apply, *(actor(name, name, env=changed) for name in ("shout", "mark")))

        def updated() -> bool:
            return all("UPDATED" in str(cluster.get("deployment", name)["spec"]) for name in ("shout", "mark"))

        await until(lambda: asyncio.to_thread(updated), 90, "the actors' new Deployments")
        await cluster.rolled_out("asya-crew", "asya-operator", "shout", "mark")
    assert set(callers.answers) == {200}, callers.answers
    await load.audit(settle=150)


async def test_pods_deleted_without_grace_lose_no_accepted_task(cluster: Cluster, callers: Callers, load: Load) -> None:
    async with load.running():
        await load.open_streams(6, takes=15)
        for component, deployment in (
            ("gateway-api", "asya-gateway-api"),
            ("gateway-mesh", "asya-gateway-mesh"),
            ("crew", "asya-crew"),
            ("operator", "asya-operator"),
        ):
            for pod in await asyncio.to_thread(cluster.ready_pods, component):
                await kill(cluster, pod)
                await cluster.rolled_out(deployment)
        for pod in await asyncio.to_thread(cluster.ready_pods, "actor"):
            await kill(cluster, pod)
    await cluster.rolled_out("shout", "mark", "tell")
    assert set(callers.answers) <= {200, *AWAY}, callers.answers
    # The claim of a killed worker is held until its lease runs out.
    await load.audit(settle=240)
    assert resumed(callers) > 0, "no stream was open on a pod that was killed"


async def test_postgres_killed_under_load_costs_503_with_retry_after_and_no_task(
    cluster: Cluster, callers: Callers, load: Load
) -> None:
    def restarts() -> int:
        status = cluster.get("pod", "postgres-0")["status"]
        return int(status["containerStatuses"][0]["restartCount"])

    before = await asyncio.to_thread(restarts)
    async with load.running():
        await load.open_streams(4, takes=15)
        # The first process of a container cannot be killed from inside it; SIGQUIT ends Postgres at once, without a
        # checkpoint, as a crash does.
        await cluster.ask("exec", "postgres-0", "--", "sh", "-c", "kill -QUIT 1", check=False)
        await until(lambda: asyncio.to_thread(lambda: restarts() > before), 90, "the restart of Postgres")
        await cluster.ask("wait", "pod/postgres-0", "--for=condition=Ready", "--timeout=120s")
        answered = callers.answers[200]
        await until(lambda: callers.answers[200] > answered, 60, "an accepted call after the restart")
    assert set(callers.answers) <= {200, 503}, callers.answers
    assert callers.without_retry_after == 0
    await load.audit(settle=150)
    for component in ("gateway-api", "gateway-mesh"):
        assert len(cluster.ready_pods(component)) == 2, "a database that is away empties no Service"


async def test_the_leading_operator_killed_is_replaced_and_calls_go_on(
    cluster: Cluster, callers: Callers, load: Load
) -> None:
    async with load.running():
        first = await cluster.leader()
        await kill(cluster, first)
        await cluster.leader(other_than=first)
        await asyncio.to_thread(cluster.apply, flow("after-the-leader", "shout"))
        await cluster.programmed("after-the-leader")
        assert await callers.result("after-the-leader", {"text": "still"}) == {"text": "STILL"}
    cluster.delete("flow", "after-the-leader")
    await cluster.rolled_out("asya-operator")
    assert set(callers.answers) == {200}, callers.answers
    await load.audit()
