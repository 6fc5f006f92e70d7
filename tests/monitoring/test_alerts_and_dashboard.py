"""The alerts and the dashboard, evaluated by Prometheus over running gateways: every panel shows something under load,
and each alert fires in its fault and is silent without one."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from asya_gateway.storage.health import Vitals
from servers.ports import free_port
from servers.processes import ServerUnavailable
from servers.prometheus import Prometheus, check_rules
from servers.proxy import TcpProxy
from tests.support.missing import missing
from tests.support.telemetry import Watched, ready, start_watched
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "manifests" / "components" / "alerts"
GROUPS: list[dict[str, Any]] = yaml.safe_load((COMPONENT / "rules.yaml").read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARD: dict[str, Any] = json.loads((COMPONENT / "asya.json").read_text())
PANELS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
NO_BROKER: dict[str, Any] = {"transport": "rabbitmq", "rabbitmq_url": "amqp://nobody:nothing@127.0.0.1:9/"}

Step = Callable[[], Awaitable[Any]]


def at_once() -> dict[str, Any]:
    """The rules, without the time for which they must hold."""
    rules = [{**rule, "for": "0s"} for rule in ALERTS.values()]
    return {"groups": [{"name": "asya", "rules": rules}]}


@contextlib.asynccontextmanager
async def scraping(*ports: int) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes these ports."""
    try:
        prometheus = Prometheus(ports, at_once())
    except ServerUnavailable as reason:
        missing(reason)
    await asyncio.to_thread(prometheus.start)
    try:
        yield prometheus
    finally:
        await asyncio.to_thread(prometheus.close)


@contextlib.asynccontextmanager
async def scraped(url: str, folder: Path, **settings: Any) -> AsyncIterator[tuple[Watched, Prometheus]]:
    """A gateway that is ready, and the Prometheus that scrapes it."""
    async with start_watched(url, folder, **settings) as watched:
        await ready(watched)
        assert watched.program.observing.port is not None
        async with scraping(watched.program.observing.port) as prometheus:
            yield watched, prometheus


async def while_repeating(step: Step, condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Repeat a step until the condition holds, which is asked in a thread."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await step()


async def test_every_panel_shows_something_under_load_and_no_alert_fires(database_url: str, tmp_path: Path) -> None:
    empty: list[str] = []

    async with scraped(database_url, tmp_path) as (watched, prometheus):

        async def load() -> None:
            for _ in range(3):
                await watched.finish(await watched.submit("shout", {"text": "hi"}))

        def shown() -> bool:
            nonlocal empty
            asked = ((title, expression.replace("$__rate_interval", "1m")) for title, expression in PANELS)
            empty = [f"{title}: {expression}" for title, expression in asked if not prometheus.query(expression)]
            return not empty

        try:
            await while_repeating(load, shown)
        except TimeoutError:
            pytest.fail(f"nothing is shown by {empty}")
        assert prometheus.firing() == set()


def test_the_rules_are_valid_and_each_says_what_is_wrong(tmp_path: Path) -> None:
    try:
        assert check_rules({"groups": GROUPS}, tmp_path) == ""
    except ServerUnavailable as reason:
        missing(reason)
    for rule in ALERTS.values():
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+[sm]", rule["for"])


def test_the_panels_have_places_and_names_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == 18
    assert all(target["datasource"] == panel["datasource"] for panel in panels for target in panel["targets"])


def test_only_metrics_of_the_page_are_asked_for() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    expressions = [expression for _, expression in PANELS] + [rule["expr"] for rule in ALERTS.values()]
    named = {name for each in expressions for name in re.findall(r"\b(?:asya|process)_\w+\b", each)}
    unknown = {name for name in named if f"`{name.removesuffix('_bucket')}`" not in page}
    assert unknown == set()
    assert len(named) >= 30


async def test_an_alert_fires_for_a_process_that_is_gone() -> None:
    async with scraping(free_port()) as prometheus:
        await until(lambda: prometheus.firing() == {"AsyaProcessDown"}, 30)


async def test_alerts_fire_while_the_database_is_away(database_url: str, tmp_path: Path) -> None:
    network, url = await TcpProxy.before(database_url)
    try:
        async with scraped(url, tmp_path) as (watched, prometheus):

            async def ask() -> None:
                await watched.send("GET", "/tasks")

            await while_repeating(ask, lambda: prometheus.query("asya_database_up == 1"))
            assert prometheus.firing() == set()
            network.refuse()
            expected = {"AsyaDatabaseDown", "AsyaBellDeaf", "AsyaRequestsFail"}
            await while_repeating(ask, lambda: prometheus.firing() == expected)
            network.accept()
            await until(lambda: prometheus.firing() <= {"AsyaRequestsFail"}, 60)
    finally:
        await network.close()


async def test_alerts_fire_while_the_queue_system_is_away(database_url: str, tmp_path: Path) -> None:
    async with scraped(database_url, tmp_path, **NO_BROKER) as (watched, prometheus):
        await until(lambda: prometheus.firing() == {"AsyaQueueSystemDown"}, 30)
        await watched.submit()
        await watched.program.database.execute("UPDATE outbox SET created_at = now() - interval '1 minute'")
        await until(lambda: prometheus.firing() == {"AsyaQueueSystemDown", "AsyaEnvelopesWait"}, 30)


Fault = Callable[[Watched, Path], Awaitable[None]]


async def a_queue_is_missing(watched: Watched, _folder: Path) -> None:
    await watched.submit()
    await watched.program.database.execute("UPDATE queue_messages SET ready_at = now() - interval '1 minute'")


async def too_much_waits(watched: Watched, _folder: Path) -> None:
    await watched.send("POST", "/tools/call", {"name": "anything"})


async def tasks_fail(watched: Watched, _folder: Path) -> None:
    await watched.finish(await watched.submit(), "failed")


async def a_flow_is_wrong(_watched: Watched, folder: Path) -> None:
    flows = [{"name": "broken", "entrypoint": "a", "mcp": {}, "timeout": "never"}]
    await asyncio.to_thread((folder / "flows.yaml").write_text, json.dumps({"flows": flows}))


async def no_flow_is_left(_watched: Watched, folder: Path) -> None:
    await asyncio.to_thread((folder / "flows.yaml").write_text, json.dumps({"flows": []}))


def the_server_reports(**values: float) -> Fault:
    """What takes ten minutes, or gigabytes of notifications, is put into what the server answers."""

    async def fault(watched: Watched, _folder: Path) -> None:
        reader = watched.program.observing._reader
        read = type(reader).read
        reader.read = lambda: _replaced(read(reader), values)  # type: ignore[method-assign]

    return fault


async def _replaced(reading: Awaitable[Vitals], values: dict[str, Any]) -> Vitals:
    return replace(await reading, **values)


FAULTS: dict[str, tuple[Fault, dict[str, Any]]] = {
    "AsyaQueueMissing": (a_queue_is_missing, {}),
    "AsyaCallsRefused": (too_much_waits, {"outbox_rows_per_actor": 1}),
    "AsyaTasksFail": (tasks_fail, {}),
    "AsyaFlowsLeftOut": (a_flow_is_wrong, {"config_poll_interval": 0.1}),
    "AsyaNoFlows": (no_flow_is_left, {"config_poll_interval": 0.1}),
    "AsyaSnapshotOld": (the_server_reports(snapshot_age=700.0), {}),
    "AsyaNotificationQueueFills": (the_server_reports(notifications=0.6), {}),
}
ELSEWHERE = {
    "AsyaProcessDown",
    "AsyaDatabaseDown",
    "AsyaBellDeaf",
    "AsyaRequestsFail",
    "AsyaQueueSystemDown",
    "AsyaEnvelopesWait",
}
"""Alerts whose faults are in the tests above."""


@pytest.mark.parametrize("alert", sorted(FAULTS))
async def test_an_alert_fires_in_its_fault(alert: str, database_url: str, tmp_path: Path) -> None:
    fault, settings = FAULTS[alert]
    async with scraped(database_url, tmp_path, **settings) as (watched, prometheus):
        await until(lambda: prometheus.query("asya_database_up == 1"), 30)
        assert prometheus.firing() == set()
        await while_repeating(lambda: fault(watched, tmp_path), lambda: alert in prometheus.firing())
        # Refused calls are failed requests, too, and a flow that is left out may have been the last one.
        beside = {"AsyaCallsRefused": {"AsyaRequestsFail"}, "AsyaFlowsLeftOut": {"AsyaNoFlows"}}
        assert prometheus.firing() - {alert} <= beside.get(alert, set())


def test_every_alert_has_its_fault() -> None:
    assert set(FAULTS) | ELSEWHERE == set(ALERTS)
    assert set(FAULTS) & ELSEWHERE == set()
