"""The operator's queues of actors: declared periodically, and deleted once no worker declares them any more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from asya_operator.domain.errors import Unreachable
from asya_operator.domain.health import Health
from asya_operator.domain.ports import ObjectList, WatchedKind
from asya_operator.domain.resources.common import Surroundings
from asya_operator.domain.views import Body
from asya_operator.reconcilers.actors import Actors
from asya_operator.reconcilers.sources import Sources
from tests.unit.asya_operator.test_actor_objects import AROUND

KINDS = (WatchedKind.ACTORS, WatchedKind.DEPLOYMENTS, WatchedKind.SCALED_OBJECTS)
SPEC = {"actor": "shout", "image": "i:1", "handler": "shout.process", "scaling": {"enabled": False}}


class FakeCluster:
    """One AsyncActor, whatever was applied, and the pods that a test says."""

    def __init__(self) -> None:
        self.actor: dict[str, Any] = {
            "metadata": {"name": "shout", "uid": "u", "resourceVersion": "5", "generation": 1},
            "spec": SPEC,
        }
        self.pods: list[Body] = []
        self.version = 10

    async def list(self, kind: WatchedKind) -> ObjectList:
        return ObjectList([self.actor] if kind is WatchedKind.ACTORS else [], self.version)

    async def get(self, document: Mapping[str, Any]) -> Body | None:
        return None

    async def apply(self, document: Mapping[str, Any], *, manager: str | None = None) -> Body:
        self.version += 1
        return {**document, "metadata": {**document["metadata"], "resourceVersion": str(self.version)}}

    async def patch_status(self, kind: WatchedKind, body: Body, status: Mapping[str, Any]) -> Body:
        self.version += 1
        return {**body, "status": status, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}

    async def post(self, notice: object) -> None:
        """Events are of no interest here."""

    async def pods_of(self, actor: str) -> Sequence[Body]:
        return self.pods


class FakeQueues:
    """Takes note of what is declared and deleted."""

    def __init__(self) -> None:
        self.declared: list[str] = []
        self.deleted: list[str] = []
        self.away = False

    async def declare(self, actor: str, *, foreign: bool) -> None:
        if self.away:
            raise Unreachable("the broker is away")
        self.declared.append(actor)

    async def delete(self, actor: str) -> None:
        self.deleted.append(actor)

    def identifier(self, actor: str) -> str:
        return f"asya-n-{actor}"

    def address(self, actor: str) -> str:
        return f"https://queues.example.com/{self.identifier(actor)}"


class Running:
    """An operator that runs one actor."""

    def __init__(self, around: Surroundings = AROUND) -> None:
        self.cluster, self.queues = FakeCluster(), FakeQueues()
        cluster: Any = self.cluster
        self.sources = Sources(cluster, Health(), KINDS)
        self.actors = Actors(self.sources, cluster, self.queues, around, lambda: True, delete_queues=True)

    async def reconcile(self) -> bool:
        return await self.actors._reconcile("shout")


@pytest.fixture
async def running() -> Running:
    running = Running()
    for kind in KINDS:
        await running.sources.list_now(kind)
    await running.reconcile()
    assert running.queues.declared == ["shout"]
    return running


async def test_the_queue_of_an_actor_that_runs_is_declared_again(running: Running) -> None:
    await running.actors.declare_again()
    assert running.queues.declared == ["shout", "shout"]


async def test_a_queue_that_cannot_be_declared_again_is_reported_in_the_condition(running: Running) -> None:
    running.queues.away = True
    await running.actors.declare_again()
    await running.reconcile()
    body = running.sources.views[WatchedKind.ACTORS].objects["shout"]
    assert "the broker is away" in str(body["status"])


async def test_the_queue_of_a_deleted_actor_goes_when_its_last_pod_has_gone(running: Running) -> None:
    gone = {**running.cluster.actor, "metadata": {**running.cluster.actor["metadata"], "resourceVersion": "90"}}
    running.sources.event(WatchedKind.ACTORS, "DELETED", gone)
    running.cluster.pods = [{"metadata": {"name": "shout-1"}}]
    assert not await running.reconcile()
    assert running.queues.deleted == []
    await running.actors.declare_again()
    assert running.queues.declared == ["shout"]
    running.cluster.pods = []
    assert await running.reconcile()
    assert running.queues.deleted == ["shout"]


async def test_an_actor_that_is_being_deleted_has_nothing_declared(running: Running) -> None:
    going = {
        **running.cluster.actor,
        "metadata": {**running.cluster.actor["metadata"], "resourceVersion": "90", "deletionTimestamp": "now"},
    }
    running.sources.event(WatchedKind.ACTORS, "MODIFIED", going)
    await running.reconcile()
    await running.actors.declare_again()
    assert running.queues.declared == ["shout"]


async def test_the_queues_url_is_in_the_status(running: Running) -> None:
    status = running.sources.views[WatchedKind.ACTORS].objects["shout"]["status"]
    assert status["queueUrl"] == "https://queues.example.com/asya-n-shout"
    assert status["queueIdentifier"] == "asya-n-shout"


async def test_an_actor_whose_queue_would_have_too_long_a_name_is_refused_by_its_condition() -> None:
    running = Running(replace(AROUND, transport="sqs", namespace="n" * 40))
    running.cluster.actor["spec"] = {**SPEC, "actor": "a" * 35}
    for kind in KINDS:
        await running.sources.list_now(kind)
    assert await running.reconcile()
    [accepted, *_] = running.sources.views[WatchedKind.ACTORS].objects["shout"]["status"]["conditions"]
    assert (accepted["type"], accepted["status"], accepted["reason"]) == ("Accepted", "False", "Invalid")
    assert "81 characters" in accepted["message"]
    assert "34" in accepted["message"]
    assert running.queues.declared == []
