"""Runs actors: creates the objects that an AsyncActor asks for, and reports progress in its status."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from asya_crds import jsontext
from asya_crds.async_actor import AsyncActorSpec
from asya_crds.older_shapes import InvalidActor, actor_from_resource
from asya_operator.domain.actor_status import (
    ObservedState,
    PartStatus,
    complaint,
    conditions_of,
    refused,
    refused_pods,
    status_of,
    waiting_for_flavors,
)
from asya_operator.domain.backoff import ExponentialBackoff
from asya_operator.domain.conditions import Condition, merge, state_of
from asya_operator.domain.drift import contains, owns_replicas
from asya_operator.domain.errors import ApiForbidden, Conflicting, OutsideError, RequestRefused, Vanished
from asya_operator.domain.flavors import FlavorConflict, named_flavors, with_flavors
from asya_operator.domain.ports import ActorCluster, KubernetesEvent, Queues, WatchedKind
from asya_operator.domain.queue_names import long_queue_name
from asya_operator.domain.resources.common import MANAGER, ActorResource, Surroundings
from asya_operator.domain.resources.deployment import deployment
from asya_operator.domain.resources.environments import overruled
from asya_operator.domain.resources.service_account import service_account
from asya_operator.domain.views import Body, age
from asya_operator.reconcilers.flavor_cache import FlavorCache, FlavorsMissing
from asya_operator.reconcilers.ownership import is_ours
from asya_operator.reconcilers.scaler import Scaler
from asya_operator.reconcilers.sources import Sources, actor_name, deleting

log = logging.getLogger(__name__)
WORKERS = 4
HANDOVER = "asya-operator-replicas"
"""Field manager that owns the number of replicas from the moment an actor starts to scale. If no manager owned the
number, Kubernetes would set it to 1."""
LOOK_AGAIN = 5.0
"""Seconds until an actor that is not ready is reconciled again, because its pods are not watched."""
DECLARE_EVERY = 60.0
"""Seconds between two declarations of the queues."""
LOOK_AT_FLAVORS = 60.0
"""Seconds until an actor with flavors is reconciled again, because flavors are not watched."""


class Actors:
    """A queue of names to reconcile, processed by a few tasks. Equal names are processed once."""

    def __init__(
        self,
        sources: Sources,
        cluster: ActorCluster,
        queues: Queues,
        around: Surroundings,
        may_write: Callable[[], bool],
        *,
        delete_queues: bool = False,
        reconciled: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._sources, self._cluster, self._queues, self._around = sources, cluster, queues, around
        self._may_write, self._delete_queues, self._reconciled = may_write, delete_queues, reconciled
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._backoffs: dict[str, ExponentialBackoff] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._applied: dict[str, str] = {}
        self._scaler = Scaler(sources, cluster, around)
        self._flavors = FlavorCache(cluster)
        self._declared: set[tuple[str, bool]] = set()
        self._known: dict[str, str] = {}
        sources.watch(self._changed)

    @property
    def _keda(self) -> bool | None:
        """Whether KEDA's kinds are installed; None while this is unknown."""
        return self._sources.has(WatchedKind.SCALED_OBJECTS)

    def _changed(self, kind: WatchedKind, name: str | None) -> None:
        if name == "":  # our own write: of interest to flows, but already known here
            return
        if kind is WatchedKind.ACTORS:
            everyone = self._known.keys() | self._sources.views[kind].objects.keys()
            names = set(everyone) if name is None else {name}
        elif kind in (WatchedKind.DEPLOYMENTS, WatchedKind.SCALED_OBJECTS):
            names = self._running(name)
        else:
            return
        for each in names:
            self.look_at(each)

    def _running(self, made: str | None) -> set[str]:
        """The AsyncActors whose Deployment and ScaledObject have this name (None: any name)."""
        actors = self._sources.views[WatchedKind.ACTORS]
        if made is not None and (namesake := actors.get(made)) and actor_name(namesake) == made:
            return {made}
        return {key for key, body in actors.objects.items() if made in (None, actor_name(body))}

    def look_at(self, name: str) -> None:
        """Reconcile this AsyncActor soon."""
        if name in self._busy:
            self._again.add(name)
        elif name not in self._queued:
            self._queued.add(name)
            self._waiting.put_nowait(name)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"actors {number}")
            group.create_task(self._declare_for_ever(), name="queues")

    async def _work(self) -> None:
        while True:
            name = await self._waiting.get()
            self._queued.discard(name)
            self._busy.add(name)
            try:
                await self._one(name)
            finally:
                self._busy.discard(name)
                if name in self._again:
                    self._again.discard(name)
                    self.look_at(name)

    async def _one(self, name: str) -> None:
        if not self._may_write() or self._keda is None:
            self._later(name, 1.0)
            return
        backoff = self._backoffs.setdefault(name, ExponentialBackoff(first=1.0, longest=60.0))
        try:
            ready = await self._reconcile(name)
        except (Conflicting, Vanished):
            self._sources.list_again(WatchedKind.ACTORS)
            self._later(name, backoff.failed())
        except OutsideError as error:
            self._reconciled("failed")
            if isinstance(error, ApiForbidden):
                self._sources.health.denied["actors"] = str(error)
            log.warning("actor %s: %s", name, error)
            if isinstance(error, RequestRefused | ApiForbidden):
                await self._tell_refused(name, error)
            self._later(name, backoff.failed())
        except Exception:
            # One actor's failure must not stop the others and the flows.
            self._reconciled("failed")
            log.exception("actor %s: not reconciled", name)
            self._later(name, backoff.failed())
        else:
            self._reconciled("ok")
            self._sources.health.denied.pop("actors", None)
            if ready:
                backoff.succeeded()
            else:
                self._later(name, max(LOOK_AGAIN, backoff.failed()))
            body = self._sources.views[WatchedKind.ACTORS].get(name)
            if ready and body is not None and named_flavors(body):
                self._later(name, LOOK_AT_FLAVORS)

    async def _tell_refused(self, name: str, error: OutsideError) -> None:
        body = self._sources.views[WatchedKind.ACTORS].objects.get(name)
        if body is not None:
            with contextlib.suppress(OutsideError):
                await self._say(body, {"phase": "Creating"}, refused(f"the API server rejects the resource: {error}"))

    def _later(self, name: str, delay: float) -> None:
        """Reconcile again after `delay` seconds. One timer for each name, because another event may have caused this
        run."""
        if (known := self._timers.pop(name, None)) is not None:
            known.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay, self.look_at, name)

    async def _reconcile(self, name: str) -> bool:
        """Reconcile one actor; returns whether it needs no further run."""
        body = self._sources.views[WatchedKind.ACTORS].objects.get(name)
        if body is None or deleting(body):
            return await self._gone(name)
        try:
            spec, notes = await self._read(body)
        except FlavorsMissing as error:
            await self._say(body, {"phase": "Creating"}, waiting_for_flavors(str(error)))
            return False
        except (InvalidActor, FlavorConflict) as error:
            await self._say(body, {"phase": "Creating"}, refused(str(error)))
            return True
        actor = ActorResource(spec, body)
        if (rival := self._rival(actor)) is not None:
            await self._say(
                body, {"phase": "Creating"}, refused(f"actor: AsyncActor {rival} already runs {actor.name}")
            )
            return True
        if (problem := long_queue_name(actor, self._around)) is not None:
            await self._say(body, {"phase": "Creating"}, refused(problem))
            return True
        if (stranger := await self._stranger(actor)) is not None:
            await self._say(body, {"phase": "Creating"}, refused(stranger))
            return False
        self._known[name] = actor.name
        notes = [*notes, *overruled(actor, self._around), *_unsupported(actor, keda=bool(self._keda))]
        queue = await self._declare(actor)
        scaled = spec.scales and bool(self._keda)
        live = await self._deploy(actor, scaled=scaled)
        address = self._queues.address(actor.name)
        scaler = await self._scaler.scale(actor, address, scaled=scaled) if self._keda else None
        identifier = self._queues.identifier(actor.name)
        url = address if address != identifier else ""
        found = ObservedState(queue, identifier, scaler, live, scaled, queue_url=url)
        if status_of(found)["phase"] == "Creating":
            pods = await self._cluster.pods_of(actor.name)
            found = replace(found, complaint=complaint(pods))
        await self._say(body, status_of(found), conditions_of(found, notes))
        return bool(status_of(found)["phase"] != "Creating")

    async def _read(self, body: Body) -> tuple[AsyncActorSpec, list[str]]:
        """The actor merged with its flavors, and notes. Raises InvalidActor, FlavorConflict, FlavorsMissing."""
        if names := named_flavors(body):
            body = {**body, "spec": with_flavors(body["spec"], await self._flavors.take(names))}
        return actor_from_resource(body)

    def _rival(self, actor: ActorResource) -> str | None:
        """An older AsyncActor with the same actor name. The two would fight over one Deployment."""
        mine = age(actor.body)
        rivals = [
            other
            for other in self._sources.views[WatchedKind.ACTORS].objects.values()
            if actor_name(other) == actor.name and not deleting(other) and age(other) < mine
        ]
        return min(rivals, key=age)["metadata"]["name"] if rivals else None

    async def _stranger(self, actor: ActorResource) -> str | None:
        """The problem if a Deployment with the actor's name is not ours. Applying over it would add the actor's
        container to foreign pods, and delete them with the actor."""
        if actor.name in self._applied:
            return None
        metadata = {"name": actor.name, "namespace": self._around.namespace}
        if await is_ours(self._cluster, actor, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}):
            return None
        return f"actor: the Deployment {actor.name} does not belong to this operator; choose another name, or delete it"

    async def _gone(self, name: str) -> bool:
        """Clean up after a deleted actor. Kubernetes removes the objects that it owned; we delete the queue if
        configured."""
        actor = self._known.pop(name, None)
        self._backoffs.pop(name, None)
        if actor is None:
            return True
        self._applied.pop(actor, None)
        self._scaler.forget(actor)
        self._declared -= {(actor, True), (actor, False)}
        still_run = any(
            actor_name(other) == actor for other in self._sources.views[WatchedKind.ACTORS].objects.values()
        )
        if self._delete_queues and not still_run:
            if await self._cluster.pods_of(actor):
                # A worker that is still running would declare its queue again.
                self._known[name] = actor
                return False
            await self._queues.delete(actor)
        return True

    async def _declare(self, actor: ActorResource) -> PartStatus:
        key = (actor.name, actor.spec.foreign_sidecar is not None)
        if key not in self._declared:
            try:
                await self._queues.declare(actor.name, foreign=key[1])
            except OutsideError as error:
                return PartStatus(False, f"The queue could not be declared: {error}")
            self._declared.add(key)
        return PartStatus(True)

    async def _declare_for_ever(self) -> None:
        """Declare queues periodically. They may vanish: a user deletes them, or the broker restarts without its
        data."""
        while True:
            await asyncio.sleep(DECLARE_EVERY)
            if self._may_write():
                await self.declare_again()

    async def declare_again(self) -> None:
        """Declare the queue of every running actor. A failure is shown in the actor's condition."""
        for key in sorted(self._declared):
            name, foreign = key
            if key not in self._declared:  # deleted meanwhile
                continue
            try:
                await self._queues.declare(name, foreign=foreign)
            except OutsideError as error:
                log.warning("actor %s: the queue could not be declared again: %s", name, error)
                self._declared.discard(key)
                for resource in self._running(name):
                    self.look_at(resource)

    async def _deploy(self, actor: ActorResource, *, scaled: bool) -> Body | None:
        """Apply the Deployment if it is missing, was changed by others, or must change."""
        live = self._sources.views[WatchedKind.DEPLOYMENTS].objects.get(actor.name)
        wanted = deployment(actor, self._around, replicas=None if scaled else _replicas(actor))
        text = jsontext.canonical(wanted)
        if live is not None and self._applied.get(actor.name) == text and contains(live, wanted):
            if refused_pods(live):
                # The reason may be a missing ServiceAccount, which is not watched.
                await self._cluster.apply(service_account(self._around))
            return live
        await self._cluster.apply(service_account(self._around))
        if live is not None and scaled:
            await self._hand_over_replicas(actor, live)
        applied = await self._cluster.apply(wanted)
        self._applied[actor.name] = text
        self._sources.written(WatchedKind.DEPLOYMENTS, applied)
        return applied

    async def _hand_over_replicas(self, actor: ActorResource, live: Body) -> None:
        fresh = await self._cluster.get({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": live["metadata"]})
        if fresh is None or not owns_replicas(fresh, MANAGER):
            return
        held = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": actor.name, "namespace": self._around.namespace},
            "spec": {"replicas": fresh["spec"]["replicas"]},
        }
        await self._cluster.apply(held, manager=HANDOVER)

    async def _say(self, body: Body, status: Mapping[str, Any], conditions: list[Condition]) -> None:
        generation = int(body["metadata"].get("generation") or 0)
        before: Mapping[str, Any] = body.get("status") or {}
        merged = merge(before.get("conditions") or [], conditions, generation, datetime.now(UTC))  # noqa: TID251 # shown, and compared with nothing
        wanted = {**status, "observedGeneration": generation}
        if merged is None and contains(before, {key: value for key, value in wanted.items() if value is not None}):
            return
        patch = {**wanted, **({} if merged is None else {"conditions": merged})}
        self._sources.written(WatchedKind.ACTORS, await self._cluster.patch_status(WatchedKind.ACTORS, body, patch))
        self._sources.retell(WatchedKind.ACTORS)
        for condition in conditions:
            known = state_of(body, condition.type)
            if condition.state == "False" and (known is None or known.get("message") != condition.message):
                await self._cluster.post(KubernetesEvent(body, True, condition.reason, condition.message))


def _replicas(actor: ActorResource) -> int:
    """Replicas of an actor without autoscaling. Without KEDA at least one, or the actor would never wake."""
    scaling = actor.spec.scaling
    if scaling is not None and scaling.enabled:
        return max(1, scaling.min_replica_count)
    return actor.spec.replicas


def _unsupported(actor: ActorResource, *, keda: bool) -> list[str]:
    spec, notes = actor.spec, []
    if spec.scales and not keda:
        notes.append("spec.scaling: KEDA is not installed, so the number of replicas is fixed")
    return notes
