"""The operator pushes, pods serve: epochs, generations, and who serves what."""

import asyncio
import logging

import pytest
from typing_extensions import override

from asya_crds import jsontext
from asya_gateway.domain.errors import Conflict
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord, NoAudit
from asya_gateway.domain.registry import FileVerdict
from asya_gateway.registry.registrar import Registrar
from tests.integration.registry.conftest import StartPod
from tests.support.registry import entry, push
from tests.support.waiting import until


async def test_every_pod_serves_what_was_pushed_to_one(start_pod: StartPod) -> None:
    mesh, one, two = await start_pod("mesh", mode="mesh"), await start_pod("one"), await start_pod("two")
    epoch = await mesh.registrar.announce("operator-a")
    report = await mesh.registrar.push(push(epoch, entry("hello"), entry("world")))
    state = await mesh.registrar.served(report.generation, 10)
    assert state.served_everywhere(report.generation)
    assert one.served == two.served == ["hello", "world"]
    assert {(pod.name, pod.mode, pod.generation) for pod in state.pods} >= {("one", "api", 1), ("two", "api", 1)}


async def test_tool_sets_travel_with_the_flows(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    sales = {"name": "sales", "flows": ["hello", "later"], "source": "flows.yaml", "line": 2}
    other = {"name": "other", "flows": [], "source": "more.yaml"}
    flows = (entry("hello"), entry("tagged", tags=["sales", "more"]))
    await pod.registrar.push(push(epoch, *flows, sets=[sales, other]))
    await until(lambda: pod.served == ["hello", "tagged"], 5)
    table = pod.flows.table
    assert table.sets == {"sales": {"hello", "later", "tagged"}, "other": frozenset(), "more": {"tagged"}}
    assert table.named_sets == {"sales", "other"}
    # A key that cannot be read keeps its flows and its sets.
    await pod.registrar.push(push(epoch, hash="sha256:2", unreadable=["flows.yaml"]))
    await until(lambda: pod.flows.table.generation == 2, 5)
    assert pod.served == ["hello", "tagged"]
    assert pod.flows.table.named_sets == {"sales"}


async def test_the_bell_brings_a_push_long_before_the_next_heartbeat(start_pod: StartPod) -> None:
    pod = await start_pod(beat_interval=60.0)
    await until(lambda: pod.running.storage.bell.connected)
    await pod.running.storage.bell.attended("asya_registry")
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("hello")))
    await until(lambda: pod.served == ["hello"], 5)


async def test_a_heartbeat_brings_what_the_bell_lost(start_pod: StartPod) -> None:
    pod = await start_pod()
    await pod.running.storage.bell.stop()
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("hello")))
    await until(lambda: pod.served == ["hello"], 5)


async def test_an_identical_push_makes_no_generation_but_is_a_sign_of_life(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    first = await pod.registrar.push(push(epoch, entry("hello")))
    await pod.silence_operator()
    second = await pod.registrar.push(push(epoch, entry("hello")))
    assert (first.changed, second.changed) == (True, False)
    assert first.generation == second.generation
    age = (await pod.store.state()).operator_age
    assert age is not None
    assert age < 30


async def test_a_push_that_changes_something_is_audited(start_pod: StartPod) -> None:
    class Notes(NoAudit):
        def __init__(self) -> None:
            self.taken: list[AuditRecord] = []

        @override
        def note(self, record: AuditRecord) -> None:
            self.taken.append(record)

    pod, notes = await start_pod(), Notes()
    registrar = Registrar(pod.store, pod.offload, notes)
    epoch = await registrar.announce("")
    for _ in range(2):
        await registrar.push(push(epoch, entry("hello")))
    [record] = notes.taken
    assert (record.event, record.principal) == (AuditEvent.REGISTRY_PUSHED, "operator")
    assert record.detail == {"generation": 1, "epoch": epoch}


async def test_an_older_epoch_is_refused(start_pod: StartPod) -> None:
    pod = await start_pod()
    old = await pod.registrar.announce("a")
    new = await pod.registrar.announce("b")
    assert new == old + 1
    with pytest.raises(Conflict, match="is not the leader's"):
        await pod.registrar.push(push(old, entry("late")))
    with pytest.raises(Conflict, match="is not the leader's"):
        await pod.registrar.heartbeat(old)
    with pytest.raises(Conflict, match="is not the leader's"):
        await pod.registrar.push(push(new + 1, entry("never issued")))
    assert (await pod.store.read()).generation == 0
    await pod.registrar.heartbeat(new)


async def test_leaders_that_announce_at_once_get_epochs_of_their_own(start_pod: StartPod) -> None:
    one, two = await start_pod("one"), await start_pod("two")
    epochs = await asyncio.gather(*(pod.registrar.announce(pod_name) for pod in (one, two) for pod_name in "abcde"))
    assert sorted(epochs) == list(range(1, 11))


async def test_of_two_leaders_pushing_at_once_only_the_newest_is_heard(start_pod: StartPod) -> None:
    one, two = await start_pod("one"), await start_pod("two")
    old = await one.registrar.announce("frozen")
    new = await two.registrar.announce("leading")
    results = await asyncio.gather(
        *(one.registrar.push(push(old, entry(f"old-{i}"), hash=f"o{i}")) for i in range(10)),
        *(two.registrar.push(push(new, entry(f"new-{i}"), hash=f"n{i}")) for i in range(10)),
        return_exceptions=True,
    )
    assert all(isinstance(result, Conflict) for result in results[:10])
    assert not any(isinstance(result, BaseException) for result in results[10:])
    row = await one.store.read()
    assert row.generation == 10
    assert "old-" not in row.configmap


async def test_a_part_that_is_not_pushed_stays(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("map"), resources=[entry("resource", "Flow/default/resource")]))
    await pod.registrar.push(push(epoch, entry("map-2"), hash="sha256:2"))
    await until(lambda: pod.served == ["map-2", "resource"])


async def test_the_configmap_wins_over_a_flow_of_the_same_name(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    report = await pod.registrar.push(
        push(
            epoch, entry("twice", entrypoint="map"), resources=[entry("twice", "Flow/default/twice", entrypoint="flow")]
        )
    )
    await until(lambda: pod.generation == 1)
    assert pod.flows.table.flows["twice"].flow.entrypoint == "map"
    assert [(each.source, each.reason) for each in report.problems] == [
        ("Flow/default/twice", "the name is taken by flows.yaml")
    ]


async def test_a_flow_that_cannot_be_served_is_reported_and_the_others_are_served(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    report = await pod.registrar.push(
        push(
            epoch,
            entry("good"),
            entry(
                "bad-schema", mcp={"inputSchema": {"type": "object", "properties": {"x": {"type": "strin"}}}}, line=7
            ),
            entry("bad-output", mcp={"outputSchema": {"minLength": "x"}}),
            entry("remote", mcp={"inputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/x"}}),
            entry("newer", fieldOfTheFuture=1),
            problems=[{"name": "unreadable", "reason": "because", "source": "flows.yaml", "line": 3}],
        )
    )
    assert {each.name for each in report.problems} == {"unreadable", "bad-schema", "bad-output", "remote", "newer"}
    by_name = {each.name: each for each in report.problems}
    assert by_name["bad-schema"].line == 7
    assert "/properties/x/type" in by_name["bad-schema"].reason
    assert "never fetched" in by_name["remote"].reason
    await until(lambda: pod.served == ["good"])
    assert set(pod.problems) == set(by_name)


async def test_what_a_problem_says_is_logged_once(start_pod: StartPod, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "asya_gateway.registry")
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    problem = {"name": "bad", "reason": "no entrypoint", "source": "flows.yaml", "line": 12}
    await pod.registrar.push(push(epoch, entry("a"), problems=[problem]))
    await pod.registrar.push(push(epoch, entry("b"), problems=[problem], hash="sha256:2"))
    await until(lambda: pod.served == ["b"])
    lines = [record.message for record in caplog.records if "left out" in record.message]
    assert lines == ["flow left out: flows.yaml, line 12: bad: no entrypoint"]


async def test_programmed_waits_for_a_pod_that_lags_and_not_for_one_that_is_gone(start_pod: StartPod) -> None:
    mesh, one = await start_pod("mesh", mode="mesh"), await start_pod("one")
    two = await start_pod("two", beat_interval=60.0)
    # It hears of nothing any more, and its row stays.
    for task in two.watch._tasks:
        task.cancel()
    await asyncio.gather(*two.watch._tasks, return_exceptions=True)
    epoch = await mesh.registrar.announce("")
    report = await mesh.registrar.push(push(epoch, entry("hello")))
    await until(lambda: one.served == ["hello"])
    assert not (await mesh.registrar.served(report.generation, 0.5)).served_everywhere(report.generation)
    # A pod counts as alive until its heartbeat is 10 s old by the database's clock.
    await mesh.running.storage.database.execute(
        "UPDATE gateway_pods SET heartbeat_at = clock_timestamp() - interval '11 s' WHERE name = 'two'"
    )
    assert (await mesh.registrar.served(report.generation, 5)).served_everywhere(report.generation)


async def test_a_new_pod_counts_once_it_serves(start_pod: StartPod) -> None:
    one = await start_pod("one")
    epoch = await one.registrar.announce("")
    report = await one.registrar.push(push(epoch, entry("hello")))
    two = await start_pod("two")
    assert two.served == ["hello"]
    state = await one.registrar.served(report.generation, 10)
    assert [(pod.name, pod.generation) for pod in state.pods] == [("one", 1), ("two", 1)]


async def test_a_pod_that_ends_leaves_the_list_at_once(start_pod: StartPod) -> None:
    one, two = await start_pod("one"), await start_pod("two")
    assert len((await one.store.state()).pods) == 2
    await two.stop()
    assert [pod.name for pod in (await one.store.state()).pods] == ["one"]


async def test_without_serving_pods_nothing_is_programmed(start_pod: StartPod) -> None:
    mesh = await start_pod("mesh", mode="mesh")
    state = await mesh.registrar.served(0, 0)
    assert [pod.name for pod in state.pods] == ["mesh"]
    assert not state.served_everywhere(0)


async def test_a_thousand_flows_are_served_quickly(start_pod: StartPod) -> None:
    pod = await start_pod()
    properties = {f"p{i}": {"type": "string", "maxLength": i + 1} for i in range(5)}
    flows = [
        entry(f"flow-{n}", mcp={"inputSchema": {"type": "object", "properties": {**properties, f"own{n}": {}}}})
        for n in range(1000)
    ]
    epoch = await pod.registrar.announce("")
    async with asyncio.timeout(10):
        report = await pod.registrar.push(push(epoch, *flows))
        assert (await pod.registrar.served(report.generation, 10)).served_everywhere(report.generation)
    assert len(pod.served) == report.flows == 1000


async def test_nul_in_a_schema_travels_and_a_lone_surrogate_costs_its_flow_alone(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    flows = [
        entry(name, mcp={"inputSchema": {"type": "object", "title": title}})
        for name, title in (("nul", "\x00"), ("surrogate", "\ud800"))
    ]
    report = await pod.registrar.push(push(epoch, *flows))
    await until(lambda: pod.served == ["nul"])
    assert [problem.name for problem in report.problems] == ["surrogate"]
    assert (await pod.store.state()).flows == 2
    mcp = pod.flows.table.flows["nul"].flow.mcp
    assert mcp is not None
    assert mcp.input_schema["title"] == "\x00"


async def test_the_row_remembers_what_was_superseded(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    for number in range(53):
        await pod.registrar.push(push(epoch, entry("x"), hash=f"h{number}"))
    row = await pod.store.read()
    assert row.configmap_hash == "h52"
    assert row.superseded == tuple(f"h{number}" for number in range(2, 52))
    part = push(epoch, entry("x"), hash="h51").configmap
    assert part is not None
    await pod.silence_operator()
    assert (await pod.store.offer_file(part, None)).verdict is FileVerdict.SUPERSEDED
    assert jsontext.loads(row.configmap)["flows"][0]["flow"]["name"] == "x"


async def test_a_push_is_told_what_stays_in_force_of_keys_that_it_could_not_read(start_pod: StartPod) -> None:
    pod = await start_pod()
    epoch = await pod.registrar.announce("")
    before = await pod.registrar.push(push(epoch, entry("one"), entry("two", "more.yaml"), entry("three")))
    assert before.kept == ()
    broken = push(epoch, entry("three", "more.yaml"), hash="sha256:2", unreadable=["flows.yaml"])
    for _ in range(2):
        report = await pod.registrar.push(broken)
        assert [(each.name, each.source) for each in report.kept] == [("one", "flows.yaml")]
    assert (await pod.registrar.push(push(epoch, hash="sha256:3"))).kept == ()
