"""The mounted ConfigMap without an operator, beside one, and after one."""

import asyncio
import logging
from pathlib import Path

import pytest

from asya_crds.flows_file import content_hash
from asya_crds.flows_json import FlowsFileJson
from asya_crds.registry_document import ConfigMapPart
from asya_gateway.domain.identity.principals import OPEN
from asya_gateway.domain.registry import RegistryNotification
from tests.integration.registry.conftest import StartPod
from tests.support.registry import Pod, entry, push
from tests.support.waiting import until


def flows(*names: str) -> str:
    return "flows:\n" + "".join(f"- name: {name}\n  entrypoint: a\n  mcp: {{}}\n" for name in names)


def _file(pod: Pod) -> FlowsFileJson:
    found = pod.watch.report(OPEN)["file"]
    assert found is not None
    return found


def swap(folder: Path, generation: str, **texts: str) -> None:
    """What kubelet does: a new folder, then one rename of the link `..data`."""
    data = folder / f"..{generation}"
    data.mkdir(parents=True)
    for name, text in texts.items():
        (data / f"{name}.yaml").write_text(text)
        if not (folder / f"{name}.yaml").is_symlink():
            (folder / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(data.name)
    fresh.replace(folder / "..data")


async def test_a_pod_serves_its_file_from_the_start(start_pod: StartPod, tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text(flows("hello"))
    pod = await start_pod(path=tmp_path / "flows.yaml")
    assert pod.served == ["hello"]


async def test_a_swapped_configmap_is_served_by_every_pod(start_pod: StartPod, tmp_path: Path) -> None:
    swap(tmp_path, "one", flows=flows("one"), more="name: bare\nentrypoint: b\n")
    first, second = await start_pod("first", path=tmp_path), await start_pod("second", path=tmp_path)
    assert first.served == second.served == ["bare", "one"]
    swap(tmp_path, "two", flows=flows("two"), more="name: bare\nentrypoint: c\n")
    await until(lambda: first.served == second.served == ["bare", "two"])
    assert first.flows.table.flows["bare"].flow.entrypoint == "c"


async def test_two_pods_with_one_text_make_one_generation(start_pod: StartPod, tmp_path: Path) -> None:
    swap(tmp_path, "one", flows=flows("one"))
    pods = await asyncio.gather(*(start_pod(f"pod-{number}", path=tmp_path) for number in range(4)))
    await until(lambda: all(pod.served == ["one"] for pod in pods))
    assert {pod.generation for pod in pods} == {1}


async def test_a_missing_file_keeps_the_last_good_flows_and_is_logged_once(
    start_pod: StartPod, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asya_gateway.registry")
    path = tmp_path / "flows.yaml"
    path.write_text(flows("hello"))
    pod = await start_pod(path=path)
    path.unlink()
    await until(lambda: _file(pod)["state"] == "missing")
    seen = []
    for _ in range(3):
        await pod.watch._look()
        seen.append(pod.served)
    assert seen == [["hello"]] * 3
    assert len([record for record in caplog.records if "no such file" in record.message]) == 1
    path.write_text(flows("back"))
    await until(lambda: pod.served == ["back"])


async def test_a_half_written_file_keeps_the_last_good_flows_and_names_the_line(
    start_pod: StartPod, tmp_path: Path
) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(flows("one", "two"))
    pod = await start_pod(path=path)
    path.write_text("flows:\n- name: one\n  entrypoint: [a\n")
    await until(lambda: pod.watch.report(OPEN)["problems"])
    (problem,) = pod.watch.report(OPEN)["problems"]
    assert (problem["source"], problem["line"]) == ("flows.yaml", 4)
    assert pod.served == ["one", "two"]
    path.write_text(flows("one"))
    await until(lambda: pod.served == ["one"] and not pod.watch.report(OPEN)["problems"])


async def test_one_unreadable_key_keeps_its_own_flows_only(start_pod: StartPod, tmp_path: Path) -> None:
    swap(tmp_path, "one", a=flows("a1"), b=flows("b1"))
    pod = await start_pod(path=tmp_path)
    swap(tmp_path, "two", a="flows: [", b=flows("b2"))
    await until(lambda: pod.served == ["a1", "b2"])


async def test_a_bad_flow_among_good_ones_is_left_out_with_its_line(start_pod: StartPod, tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(flows("good") + "- name: bad\n  entrypoint: Not A Label\n" + "- name: fine\n  entrypoint: b\n")
    pod = await start_pod(path=path)
    assert pod.served == ["fine", "good"]
    (problem,) = pod.watch.report(OPEN)["problems"]
    assert (problem["name"], problem["source"], problem["line"]) == ("bad", "flows.yaml", 6)


async def test_the_operator_owns_the_registry_while_it_lives(start_pod: StartPod, tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(flows("file"))
    pod = await start_pod(path=path)
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("pushed"), hash="sha256:pushed"))
    await until(lambda: pod.served == ["pushed"])
    path.write_text(flows("newer-file"))
    await until(lambda: _file(pod)["state"] == "operator")
    assert pod.served == ["pushed"]
    await pod.silence_operator()
    await until(lambda: pod.served == ["newer-file"])


async def test_a_file_replaces_the_configmap_part_only(start_pod: StartPod, tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    pod = await start_pod(path=path)
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("map"), resources=[entry("resource", "Flow/default/resource")]))
    await pod.silence_operator()
    path.write_text(flows("file"))
    await until(lambda: pod.served == ["file", "resource"])


async def test_a_lagging_mount_does_not_bring_old_flows_back(start_pod: StartPod, tmp_path: Path) -> None:
    """The operator pushed B over A and died; a pod that starts with A still mounted must not undo B."""
    old = flows("old")
    path = tmp_path / "flows.yaml"
    path.write_text(old)
    first = await start_pod("first")
    epoch = await first.registrar.announce("")
    await first.registrar.push(push(epoch, entry("old"), hash=content_hash({"flows.yaml": old.encode()})))
    await first.registrar.push(push(epoch, entry("new"), hash=content_hash({"flows.yaml": flows("new").encode()})))
    await first.silence_operator()
    late = await start_pod("late", path=path)
    assert _file(late)["state"] == "superseded"
    assert late.served == ["new"]
    path.write_text(flows("new"))
    await until(lambda: _file(late)["state"] == "served")
    assert late.generation == 2


async def test_a_step_back_counts_where_a_pod_watched_it(start_pod: StartPod, tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(flows("one"))
    pod = await start_pod(path=path)
    path.write_text(flows("two"))
    await until(lambda: pod.served == ["two"])
    path.write_text(flows("one"))
    await until(lambda: pod.served == ["one"])


async def test_a_change_that_was_watched_before_the_operator_moved_on_does_not_count(
    start_pod: StartPod, tmp_path: Path
) -> None:
    """The mount went from A to B while the row moved on to C and back to A: B is a lagging text, not a step back."""
    path = tmp_path / "flows.yaml"
    path.write_text(flows("a"))
    pod = await start_pod(path=path)
    hashes = {name: content_hash({"flows.yaml": flows(name).encode()}) for name in "abc"}
    epoch = await pod.registrar.announce("")
    await pod.registrar.push(push(epoch, entry("b"), hash=hashes["b"]))
    await pod.registrar.push(push(epoch, entry("c"), hash=hashes["c"]))
    path.write_text(flows("b"))
    await until(lambda: _file(pod)["hash"] == hashes["b"])
    await pod.watch._look()
    await pod.registrar.push(push(epoch, entry("a"), hash=hashes["a"]))
    await pod.silence_operator()
    await until(lambda: _file(pod)["state"] == "superseded")
    assert (await pod.store.read()).configmap_hash == hashes["a"]


async def test_reload_is_immediate_for_every_pod(start_pod: StartPod, tmp_path: Path) -> None:
    path = tmp_path / "flows.yaml"
    path.write_text(flows("one"))
    mesh = await start_pod("mesh", mode="mesh")
    pod = await start_pod("pod", path=path, poll_interval=600.0)
    await pod.running.storage.bell.attended("asya_registry")
    path.write_text(flows("two"))
    await mesh.registrar.reload()
    await until(lambda: pod.served == ["two"], 5)


async def test_of_many_pods_offering_at_once_one_writes(start_pod: StartPod) -> None:
    pods = [await start_pod(f"pod-{number}") for number in range(4)]
    part = ConfigMapPart(hash="sha256:new")
    offers = await asyncio.gather(*(pod.store.offer_file(part, None) for pod in pods for _ in range(5)))
    verdicts = sorted(offer.verdict.value for offer in offers)
    assert verdicts == ["same"] * 19 + ["taken"]
    assert (await pods[0].store.read()).generation == 1


async def test_of_two_texts_offered_at_once_each_counts_once(start_pod: StartPod) -> None:
    one, two = await start_pod("one"), await start_pod("two")
    await asyncio.gather(
        *(one.store.offer_file(ConfigMapPart(hash="a"), None) for _ in range(5)),
        *(two.store.offer_file(ConfigMapPart(hash="b"), None) for _ in range(5)),
    )
    row = await one.store.read()
    assert row.generation == 2
    assert {row.configmap_hash, *row.superseded} == {"a", "b"}


async def test_news_after_a_reconnect_have_everything_read(start_pod: StartPod) -> None:
    pod = await start_pod()
    heard: list[RegistryNotification] = []
    leave = pod.store.listen(heard.append)
    database = pod.running.storage.database
    await until(lambda: pod.running.storage.bell.connected)
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'asya bell' AND datname = current_database()"
    )
    await until(
        lambda: {RegistryNotification.CHANGED, RegistryNotification.RELOAD, RegistryNotification.SERVED} <= set(heard)
    )
    leave()
