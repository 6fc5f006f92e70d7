"""The registry over HTTP: what the operator and people with curl send."""

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from asya_crds import jsontext
from asya_gateway.composition.web import build_app
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http import flows_health
from asya_gateway.protocols.http.keys import FLOWS_REPORT, HELD, REGISTRY
from asya_gateway.protocols.mesh import registry_routes
from asya_gateway.protocols.mesh.registry_routes import wait_seconds
from asya_schemas.compiling import compile_schema
from servers.databases import Databases
from tests.support.gateway import Gateway, make_settings, serving
from tests.support.registry import Pod, entry
from tests.support.standing import AT_REST
from tests.support.waiting import until


@dataclass
class Served:
    gateway: Gateway
    pod: Pod

    async def epoch(self) -> int:
        status, answer = await self.gateway.post("/mesh/registry/epoch", {"leader": "operator-1"})
        assert status == 200
        return int(answer["epoch"])


@contextlib.asynccontextmanager
async def start(url: str, path: Path) -> AsyncGenerator[Served]:
    pod = Pod(url, "testing-1", mode="testing", path=path)
    storage = pod.running.storage
    tasks = Tasks(storage.tasks, storage.feed, storage.fly, TaskRules(mesh_url="http://m"), compile_schema)

    def more(app: web.Application) -> None:
        app[REGISTRY], app[FLOWS_REPORT] = pod.registrar, pod.watch.report
        registry_routes.register(app)
        flows_health.register(app)

    app = build_app(make_settings(database_url=url), tasks, pod.flows, [more])
    async with serving(app, pod.running) as gateway:
        await pod.watch.start()
        try:
            yield Served(gateway, pod)
        finally:
            await pod.watch.stop()


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with start(database_url, tmp_path / "flows.yaml") as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(
    databases: Databases, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """One for all tests of this module that change nothing."""
    with databases.one(template_database) as url:
        async with start(url, tmp_path_factory.mktemp("standing") / "flows.yaml") as found:
            yield found


async def test_from_push_to_a_call(served: Served) -> None:
    epoch = await served.epoch()
    body = {"epoch": epoch, "configmap": {"hash": "sha256:x", "flows": [entry("hello")]}}
    status, answer = await served.gateway.post("/mesh/config-reload", body)
    expected = {"status": "ok", "generation": 1, "changed": True, "flows": 1, "problems": [], "kept": []}
    assert (status, answer) == (200, expected)
    status, state = await served.gateway.get("/mesh/registry?generation=1&wait=10")
    assert status == 200
    assert state["programmed"] is True
    assert state["epoch"] == epoch
    assert [(pod["name"], pod["mode"], pod["generation"]) for pod in state["pods"]] == [("testing-1", "testing", 1)]
    assert await served.gateway.submit("hello")


async def test_a_push_of_nothing_that_is_known_is_no_call_to_read_the_file_again(served: Served) -> None:
    status, answer = await served.gateway.post("/mesh/config-reload", {"configMap": {"hash": "x"}})
    assert (status, answer["error"]["field"]) == (400, "epoch")


async def test_without_a_body_the_file_is_read_again(served: Served, tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text("name: f\nentrypoint: a\nmcp: {}\n")
    for body in (None, "", "{}"):
        assert await served.gateway.post("/mesh/config-reload", body) == (200, {"status": "ok"})
    await until(lambda: served.pod.served == ["f"])


async def test_health_shows_the_mistake_with_its_line(served: Served, tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text(
        "flows:\n- name: good\n  entrypoint: a\n- name: bad\n  entrypoint: a\n  mcp:\n"
    )
    await until(lambda: served.pod.served == ["good"])
    status, health = await served.gateway.get("/health/flows")
    assert status == 200
    assert [(flow["name"], flow["actors"], flow["line"]) for flow in health["flows"]] == [("good", ["a"], 2)]
    (problem,) = health["problems"]
    assert (problem["name"], problem["line"]) == ("bad", 6)
    assert "`mcp: {}`" in problem["reason"]
    assert health["file"]["state"] == "served"


async def test_an_epoch_that_does_not_lead_gets_409(served: Served) -> None:
    old = await served.epoch()
    new = await served.epoch()
    for path in ("/mesh/config-reload", "/mesh/registry/heartbeat"):
        status, answer = await served.gateway.post(path, {"epoch": old})
        assert (status, answer["error"]["field"]) == (409, "epoch")
    status, answer = await served.gateway.post("/mesh/registry/heartbeat", {"epoch": new})
    assert (status, answer) == (200, {"epoch": new, "generation": 0})


async def test_a_leader_of_any_name_gets_its_epoch(served: Served) -> None:
    for name in ('"\\u0000"', '"\\ud800"', f'"{"a" * 5000}"'):
        status, answer = await served.gateway.post("/mesh/registry/epoch", f'{{"leader": {name}}}')
        assert (status, list(answer)) == (200, ["epoch"])


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/mesh/config-reload", {"configmap": {"hash": "x"}}, "epoch"),
        ("/mesh/config-reload", {"epoch": "1"}, "epoch"),
        ("/mesh/config-reload", {"epoch": 0}, "epoch"),
        ("/mesh/config-reload", {"epoch": 2**63}, "epoch"),
        ("/mesh/config-reload", {"epoch": True}, "epoch"),
        ("/mesh/config-reload", {"epoch": 1, "configmap": []}, "configmap"),
        ("/mesh/config-reload", {"epoch": 1, "configmap": {"hash": "a\u0000"}}, "configmap.hash"),
        ("/mesh/config-reload", {"epoch": 1, "configmap": {"flows": [{"flow": {}}]}}, "configmap.flows.0.source"),
        (
            "/mesh/config-reload",
            {"epoch": 1, "resources": {"flows": [{"source": "s", "flow": 5}]}},
            "resources.flows.0.flow",
        ),
        ("/mesh/registry/heartbeat", {}, "epoch"),
        ("/mesh/registry/heartbeat", {"epoch": -1}, "epoch"),
        ("/mesh/registry/epoch", {"leader": 5}, "leader"),
    ],
)
@AT_REST
async def test_bad_input_names_the_field_and_changes_nothing(
    standing: Served, path: str, body: Any, field: str
) -> None:
    status, answer = await standing.gateway.post(path, body)
    assert (status, answer["error"].get("field")) == (400, field)
    assert (await standing.pod.store.read()).generation == 0


@pytest.mark.parametrize("body", ["[]", "{", "5", b"\xff", '{"epoch": NaN}', "[" * 5000])
@AT_REST
async def test_what_is_no_object_is_refused(standing: Served, body: Any) -> None:
    for path in ("/mesh/config-reload", "/mesh/registry/epoch", "/mesh/registry/heartbeat"):
        status, _ = await standing.gateway.post(path, body)
        assert status == 400


@pytest.mark.parametrize(
    "query", ["generation=x", "generation=-1", "generation=1e9", "wait=x", "wait=-1", "wait=inf", "wait=nan"]
)
@AT_REST
async def test_a_bad_query_names_its_parameter(standing: Served, query: str) -> None:
    status, answer = await standing.gateway.get(f"/mesh/registry?{query}", headers={"Accept": "application/json"})
    assert (status, answer["error"]["field"]) == (400, query.partition("=")[0])


async def test_odd_text_in_a_push_is_stored_faithfully(served: Served) -> None:
    epoch = await served.epoch()
    body = {
        "epoch": epoch,
        "configmap": {
            "hash": None,
            "flows": [entry("odd", source="\x00", description="\x00"), entry("bad", description="\ud800")],
            "problems": [{"reason": "\x00"}],
        },
    }
    status, answer = await served.gateway.post("/mesh/config-reload", body)
    assert status == 200
    assert answer["problems"][0]["reason"] == "\x00"
    assert [each["name"] for each in answer["problems"]] == ["", "bad"]
    await until(lambda: served.pod.served == ["odd"])
    assert (await served.gateway.get("/health/flows"))[0] == 200


async def test_a_database_that_is_away_is_a_503_and_the_flows_stay_served(served: Served) -> None:
    epoch = await served.epoch()
    await served.gateway.post(
        "/mesh/config-reload", {"epoch": epoch, "configmap": {"hash": "x", "flows": [entry("f")]}}
    )
    await until(lambda: served.pod.served == ["f"])
    await served.pod.running.storage.database.close()
    for method, path, body in (
        ("POST", "/mesh/config-reload", None),
        ("POST", "/mesh/config-reload", {"epoch": epoch}),
        ("POST", "/mesh/registry/epoch", None),
        ("GET", "/mesh/registry", None),
    ):
        status, _ = await served.gateway.call(method, path, body)
        assert status == 503
    status, health = await served.gateway.get("/health/flows")
    assert (status, [flow["name"] for flow in health["flows"]]) == (200, ["f"])


async def test_a_request_that_waits_for_a_generation_counts_as_held(served: Served) -> None:
    held = served.gateway.app[HELD]
    waiting = asyncio.create_task(served.gateway.get("/mesh/registry?generation=9&wait=30"))
    await until(lambda: len(held) == 1, what="a request that is held")
    assert (await served.gateway.get("/mesh/registry?generation=9"))[0] == 200
    other = make_mocked_request("GET", "/", app=served.gateway.app)
    with contextlib.ExitStack() as all_others:
        for _ in range(10_000 - len(held)):  # ASYA_MAX_STREAMS
            all_others.enter_context(held.slot(other))
        status, answer = await served.gateway.get("/mesh/registry?generation=9&wait=30")
        assert (status, "requests that are held open" in answer) == (503, True)
        assert (await served.gateway.get("/mesh/registry?generation=9"))[0] == 200
    waiting.cancel()
    await until(lambda: len(held) == 0, what="no held request")


@pytest.mark.parametrize(("asked", "counted"), [("0", 0.0), ("2.5", 2.5), ("61", 60.0), ("99999999", 60.0)])
def test_of_a_wait_sixty_seconds_count(asked: str, counted: float) -> None:
    assert wait_seconds(make_mocked_request("GET", f"/mesh/registry?wait={asked}")) == counted


async def test_a_push_of_many_values_is_read_beside_the_event_loop_and_answered_like_any_other(served: Served) -> None:
    examples = {"type": "object", "examples": [1] * 30_000}
    flow = entry("hello")
    flow["flow"]["mcp"] = {"inputSchema": examples}
    body = {"epoch": await served.epoch(), "configmap": {"hash": "sha256:x", "flows": [flow]}}
    status, answer = await served.gateway.post("/mesh/config-reload", body)
    assert (status, answer["flows"]) == (200, 1)
    status, answer = await served.gateway.post("/mesh/config-reload", {**body, "epoch": "x" + "," * 30_000})
    assert (status, answer["error"]["field"]) == (400, "epoch")


JSON = {"Content-Type": "application/json"}


async def test_a_push_of_many_values_is_stored_as_it_is(served: Served) -> None:
    rows = "[" + "[]," * 500 + "7]"
    entries = [
        f'{{"source":"flows.yaml","line":{number},"flow":{{"name":"flow-{number}","entrypoint":"a","later":{rows}}}}}'
        for number in range(1, 101)
    ]
    body = (
        f'{{"epoch":{await served.epoch()},"configmap":{{"hash":"one","flows":[{",".join(entries)}],"later":{rows}}}}}'
    )
    url = served.gateway.url + "/mesh/config-reload"
    answers = []
    for _ in range(2):
        async with served.gateway.session.post(url, data=body, headers=JSON) as response:
            assert response.status == 200
            answers.append(await response.json())
    assert [(answer["generation"], answer["changed"], len(answer["problems"])) for answer in answers] == [
        (1, True, 100),
        (1, False, 100),
    ]
    row = await served.pod.store.read()
    assert jsontext.loads(row.configmap)["flows"] == [jsontext.loads(entry) for entry in entries]


async def test_an_invalid_entry_is_named_among_many(served: Served) -> None:
    rows = "[" + "[]," * 30_000 + "7]"
    flows = f'{{"source":"s","flow":{{"name":"a","later":{rows}}}}},{{"source":"s","flow":7}}'
    body = f'{{"epoch":{await served.epoch()},"configmap":{{"hash":"one","flows":[{flows}]}}}}'
    url = served.gateway.url + "/mesh/config-reload"
    async with served.gateway.session.post(url, data=body, headers=JSON) as response:
        assert response.status == 400
        assert (await response.json())["error"]["field"] == "configmap.flows.1.flow"


async def test_a_push_of_many_values_beside_its_flows_is_refused(served: Served) -> None:
    values = "[" + "[]," * 600_000 + "7]"
    body = f'{{"epoch":{await served.epoch()},"configmap":{{"hash":"one","problems":{values}}}}}'
    url = served.gateway.url + "/mesh/config-reload"
    async with served.gateway.session.post(url, data=io.BytesIO(body.encode()), headers=JSON) as response:
        assert response.status == 413
        assert "at most 500000 values beside the flows" in (await response.json())["error"]["message"]
