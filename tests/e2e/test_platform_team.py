"""What a platform team does with a cluster, from `kubectl apply` to the call, through the Service."""

import asyncio
import json
import shlex
import uuid

import pytest
from mcp import Client

from tests.e2e.callers import Callers
from tests.e2e.cluster import ROOT, Cluster, Door
from tests.e2e.objects import actor, flow
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)


def named(what: str) -> str:
    """A name of its own for each run, since the cluster outlives it."""
    return f"{what}-{uuid.uuid4().hex[:6]}"


async def test_two_of_api_mesh_and_operator_are_ready(cluster: Cluster) -> None:
    for component in ("gateway-api", "gateway-mesh", "operator", "crew"):
        assert len(cluster.ready_pods(component)) == 2, component
    assert await cluster.leader() in cluster.ready_pods("operator")


def test_the_operator_runs_the_actors_that_were_applied(cluster: Cluster) -> None:
    for name in ("shout", "mark", "tell"):
        deployment = cluster.get("deployment", name)
        owner = deployment["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"]) == ("AsyncActor", name)
        assert deployment["status"]["readyReplicas"] == 1
        status = cluster.get("asyncactor", name)["status"]
        assert status["infrastructure"]["workload"]["ready"] is True
        assert status["infrastructure"]["queue"]["ready"] is True


async def test_the_first_call_of_the_documentation_works(cluster: Cluster, callers: Callers) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    lines = [line.strip() for line in page.splitlines() if line.startswith("    kubectl -n asya ")]
    first = next(index for index, line in enumerate(lines) if "create configmap hello" in line)
    assert "hello.yaml" in lines[first + 1]
    cluster.delete("configmap", "hello")
    try:
        for line in lines[first : first + 3]:
            words = shlex.split(line.removeprefix("kubectl -n asya "))
            await cluster.ask(*words, *(["--timeout=90s"] if words[0] == "wait" else []))
        assert await callers.result("hello", {"name": "sea"}) == {"text": "Hello sea"}
    finally:
        cluster.delete("-f", "docs/examples/kubernetes/hello.yaml")


async def test_an_applied_flow_is_called_over_rest_and_by_the_mcp_sdk(
    cluster: Cluster, door: Door, callers: Callers
) -> None:
    name = named("speak")
    cluster.apply(flow(name, "shout", "mark", mcp={"inputSchema": {"type": "object", "required": ["text"]}}))
    await cluster.programmed(name)
    assert await callers.result(name, {"text": "over rest"}) == {"text": "OVER REST!"}
    status, refused = await callers.post(name, {})
    assert status == 400, refused
    async with Client(f"{door.url}/mcp") as client:
        assert name in [tool.name for tool in (await client.list_tools()).tools]
        called = await client.call_tool(name, {"text": "by mcp"})
        assert not called.is_error
        assert called.structured_content == {"text": "BY MCP!"}
    cluster.delete("flow", name)


async def test_a_flow_exposed_by_command_is_called_and_hidden_again(
    cluster: Cluster, door: Door, callers: Callers
) -> None:
    name = named("told")
    said = cluster.cli("flow", "expose", name, "-n", "asya", "-d", "Tells.", "--entrypoint", "tell", "--timeout", "60s")
    assert name in json.dumps(cluster.get("configmap", "gateway-flows")["data"])
    assert "/mcp" in said.stdout + said.stderr
    assert await callers.result(name, {"text": "a b"}) == {"text": "a b"}
    async with Client(f"{door.url}/mcp") as client:
        called = await client.call_tool(name, {"text": "c d"})
        assert called.structured_content == {"text": "c d"}
    cluster.cli("flow", "hide", name, "-n", "asya")

    async def gone() -> bool:
        return (await callers.post(name, {"text": "x"}))[0] == 404

    await until(gone, 60, "404 for the hidden flow")


async def test_the_stream_of_a_call_has_live_events_and_every_update(cluster: Cluster, callers: Callers) -> None:
    name = named("story")
    cluster.apply(flow(name, "tell"))
    await cluster.programmed(name)
    task_id = await callers.submit(name, {"text": " ".join(f"w{number}" for number in range(40))})
    assert task_id is not None
    reader = callers.follow(task_id)
    await until(lambda: reader.ends, 60, "the end of the stream")
    assert reader.ends == ["succeeded"]
    assert reader.seqs == list(range(1, reader.seqs[-1] + 1))
    tokens = [event["token"] for event in reader.live]
    assert tokens
    assert tokens == [f"w{number}" for number in range(40)][-len(tokens) :]
    cluster.delete("flow", name)


async def test_a_changed_flow_takes_the_new_route_and_a_deleted_one_is_gone(cluster: Cluster, callers: Callers) -> None:
    name = named("changing")
    cluster.apply(flow(name, "shout"))
    await cluster.programmed(name)
    assert await callers.result(name, {"text": "a"}) == {"text": "A"}
    cluster.apply(flow(name, "shout", "mark", "mark"))
    await cluster.programmed(name)
    assert await callers.result(name, {"text": "a"}) == {"text": "A!!"}
    cluster.delete("flow", name)

    async def gone() -> bool:
        return (await callers.post(name, {"text": "x"}))[0] == 404

    await until(gone, 60, "404 for the deleted flow")


async def test_programmed_waits_for_a_pod_that_has_just_come(cluster: Cluster, callers: Callers, work: str) -> None:
    cluster.kubectl("scale", "deployment/asya-gateway-api", "--replicas=3")
    try:
        await cluster.rolled_out("asya-gateway-api")
        await until(lambda: len(cluster.ready_pods("gateway-api")) == 3, 60, "three api pods")
        name = named("late")
        cluster.apply(flow(name, "shout"))
        await cluster.programmed(name)
        # In one statement: whatever else changes meanwhile, pods and generation belong to the same moment.
        served = cluster.sql(
            "SELECT p.name, p.generation >= r.generation FROM gateway_pods p, registry r WHERE p.mode = 'api'"
        )
        alive = [row for row in served if row[0] in cluster.ready_pods("gateway-api")]
        assert len(alive) == 3
        assert {new_enough for _, new_enough in alive} == {"t"}
        statuses = await asyncio.gather(*(callers.post(name, {"text": "x"}, 30) for _ in range(30)))
        assert {status for status, _ in statuses} == {200}
        cluster.delete("flow", name)
    finally:
        cluster.kubectl("scale", "deployment/asya-gateway-api", "--replicas=2")
        await cluster.rolled_out("asya-gateway-api")


async def test_programmed_names_a_live_pod_that_does_not_serve_the_flow_yet(cluster: Cluster) -> None:
    # A pod that is stuck: it says that it lives, and serves an old generation.
    stuck = "INSERT INTO gateway_pods VALUES ('stuck-pod', 'api', 0, now(), now() + interval '1 hour')"
    name = named("waiting")
    cluster.sql(stuck)
    try:
        cluster.apply(flow(name, "shout"))

        def waits() -> bool:
            condition = cluster.condition(name, "Programmed")
            return condition.get("status") == "False" and "stuck-pod" in condition["message"]

        await until(waits, 60, "Programmed=False that names the pod")
    finally:
        cluster.sql("DELETE FROM gateway_pods WHERE name = 'stuck-pod'")
    await cluster.programmed(name)
    cluster.delete("flow", name)


async def test_a_broken_flow_says_why_and_is_served_once_it_is_mended(cluster: Cluster, callers: Callers) -> None:
    name = named("broken")
    cluster.apply(flow(name, "shout", mcp={"inputSchema": {"type": "object", "properties": {"n": {"type": "wrong"}}}}))

    def refused() -> str:
        condition = cluster.condition(name, "Accepted")
        return str(condition["message"]) if condition.get("status") == "False" else ""

    message = await until(refused, 60, "Accepted=False")
    assert "inputSchema" in message

    def told() -> bool:
        return name in cluster.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}")

    await until(lambda: asyncio.to_thread(told), 30, "the Event, which follows the condition")
    assert (await callers.post(name, {"text": "x"}))[0] == 404
    cluster.apply(flow(name, "shout"))
    await cluster.programmed(name)
    assert await callers.result(name, {"text": "mended"}) == {"text": "MENDED"}
    cluster.delete("flow", name)


async def test_a_flow_over_an_actor_that_is_missing_is_served_and_says_so(cluster: Cluster) -> None:
    name = named("lonely")
    cluster.apply(flow(name, "shout", "nobody-there"))
    await cluster.programmed(name)
    condition = await until(lambda: cluster.condition(name, "ResolvedRefs"), 60, "ResolvedRefs")
    assert condition["status"] == "False"
    assert "nobody-there" in condition["message"]
    cluster.delete("flow", name)


async def test_the_manifests_applied_again_wipe_nothing_that_was_exposed(cluster: Cluster, callers: Callers) -> None:
    name = named("kept")
    cluster.cli("flow", "expose", name, "-n", "asya", "-d", "Stays.", "--entrypoint", "shout")
    cluster.kubectl("apply", "-k", str(ROOT / "manifests" / "overlays" / "kind"))
    assert name in json.dumps(cluster.get("configmap", "gateway-flows")["data"])
    assert await callers.result(name, {"text": "kept"}) == {"text": "KEPT"}
    cluster.cli("flow", "hide", name, "-n", "asya")


async def test_a_deleted_actor_takes_its_pods_with_it(cluster: Cluster) -> None:
    name = named("passing")
    cluster.apply(actor(name, "shout"))
    wait = ("wait", f"asyncactor/{name}", "--for=jsonpath={.status.phase}=Ready", "--timeout=120s")
    await cluster.ask(*wait, timeout=130)
    assert cluster.get("pods", "-l", f"asya.sh/actor={name}")["items"]
    cluster.delete("asyncactor", name)

    def gone() -> bool:
        return not cluster.get("deployments,pods", "-l", f"asya.sh/actor={name}")["items"]

    await until(lambda: asyncio.to_thread(gone), 120, "the end of its pods")
