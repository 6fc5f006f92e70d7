"""The current state of the three sources in the cluster, and the registry inputs made from it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from asya_crds.naming import FLOWS_CONFIGMAP
from asya_operator.domain.backoff import ExponentialBackoff
from asya_operator.domain.conditions import state_of
from asya_operator.domain.errors import ApiForbidden, KindMissing, OutsideError
from asya_operator.domain.health import Health
from asya_operator.domain.ports import Cluster, WatchedKind
from asya_operator.domain.registry import ActorReadiness, Inputs
from asya_operator.domain.views import Body, KindView, age

log = logging.getLogger(__name__)
Listener = Callable[[WatchedKind, str | None], None]
"""Called with the kind and the name of a changed object; None if any object may have changed."""


class Sources:
    """One view for each kind, fed by events and lists."""

    def __init__(self, cluster: Cluster, health: Health, kinds: tuple[WatchedKind, ...], resync: float = 60.0) -> None:
        self.views = {kind: KindView() for kind in kinds}
        self.missing: set[WatchedKind] = set()
        self._cluster, self.health, self._resync = cluster, health, resync
        self._listeners: list[Listener] = []
        self._wanted = {kind: asyncio.Event() for kind in kinds}
        health.unlisted.update(kind.value for kind in kinds)

    def watch(self, listener: Listener) -> None:
        """Call the listener after each change."""
        self._listeners.append(listener)

    def event(self, kind: WatchedKind, type_: str | None, body: Body) -> None:
        """Process a watch event. `type_` None marks a list after a disconnect. Deletions in between are not reported,
        so everything is listed again."""
        view = self.views.get(kind)
        if view is None:
            return
        name = body["metadata"]["name"]
        before = view.get(name)
        news = view.deleted(body) if type_ == "DELETED" else view.seen(body)
        if type_ is None and view.known:
            self._wanted[kind].set()
        if news and (type_ == "DELETED" or before is None or essence(kind, before) != essence(kind, body)):
            self._tell(kind, name)

    def written(self, kind: WatchedKind, body: Body) -> None:
        """Record the result of our own write. Our change needs no notification. But the result may also contain a
        change that another writer made just before, and that change's event will no longer be news."""
        view = self.views[kind]
        before = view.get(body["metadata"]["name"])
        if view.seen(body) and before is not None and wish(kind, before) != wish(kind, body):
            self._tell(kind, body["metadata"]["name"])

    def retell(self, kind: WatchedKind) -> None:
        """Notify listeners of our own write, whose content others use."""
        for listener in self._listeners:
            listener(kind, "")

    def list_again(self, kind: WatchedKind) -> None:
        """List this kind soon."""
        self._wanted[kind].set()

    async def run(self) -> None:
        """List every kind now, after each cut of its watch, and every `resync` seconds."""
        async with asyncio.TaskGroup() as group:
            for kind in self.views:
                group.create_task(self._keep_listed(kind), name=f"list {kind.value}")

    async def _keep_listed(self, kind: WatchedKind) -> None:
        backoff = ExponentialBackoff(first=0.5)
        while True:
            self._wanted[kind].clear()
            try:
                await self.list_now(kind)
            except OutsideError as error:
                log.warning("cannot list %s: %s", kind.value, error)
                await asyncio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            try:
                await asyncio.wait_for(self._wanted[kind].wait(), self._resync)
                await asyncio.sleep(0.1)  # a cut often hits several watches; their events come in a row
            except TimeoutError:
                pass

    async def list_now(self, kind: WatchedKind) -> None:
        """List one kind. A kind whose CRD is not installed counts as listed and empty."""
        try:
            listing = await self._cluster.list(kind)
        except KindMissing:
            changed = kind not in self.missing
            self.missing.add(kind)
            self.health.denied.pop(kind.value, None)
            self.health.unlisted.discard(kind.value)
            if changed:
                log.info("%s: the cluster does not have this kind", kind.value)
                self.views[kind] = KindView()
                self._tell(kind, None)
            return
        except ApiForbidden as error:
            self.health.denied[kind.value] = str(error)
            raise
        appeared = kind in self.missing
        self.missing.discard(kind)
        self.health.denied.pop(kind.value, None)
        self.health.unlisted.discard(kind.value)
        if self.views[kind].listed(listing.bodies, listing.version) or appeared:
            self._tell(kind, None)

    def _tell(self, kind: WatchedKind, name: str | None) -> None:
        for listener in self._listeners:
            listener(kind, name)

    def has(self, kind: WatchedKind) -> bool | None:
        """Whether the cluster has this kind; None while this is unknown."""
        return kind not in self.missing if self._listed(kind) else None

    @property
    def complete(self) -> bool:
        """Whether every source of flows was listed. Before that, an object that is missing here may exist."""
        return all(self._listed(kind) for kind in (WatchedKind.CONFIGMAPS, WatchedKind.FLOWS))

    def _listed(self, kind: WatchedKind) -> bool:
        return kind in self.missing or self.views[kind].known

    @property
    def configmap(self) -> Body | None:
        """The current ConfigMap gateway-flows."""
        return self.views[WatchedKind.CONFIGMAPS].objects.get(FLOWS_CONFIGMAP)

    def flows(self) -> list[Body]:
        """Every Flow that is not being deleted."""
        return [body for body in self.views[WatchedKind.FLOWS].objects.values() if not deleting(body)]

    def inputs(self) -> Inputs:
        """The inputs of registry.compute."""
        configmap = self.configmap
        return Inputs(
            configmap=None if configmap is None or deleting(configmap) else dict(configmap.get("data") or {}),
            flows=self.flows(),
            actors=self._actors(),
        )

    def _actors(self) -> Mapping[str, ActorReadiness] | None:
        if WatchedKind.ACTORS in self.missing or not self.views[WatchedKind.ACTORS].known:
            return None
        alive = [body for body in self.views[WatchedKind.ACTORS].objects.values() if not deleting(body)]
        # Of two AsyncActors for one actor, the older one runs it (actors.py). It is written last, so that its state
        # counts.
        alive.sort(key=age, reverse=True)
        return {actor_name(body): actor_state(body) for body in alive}


def essence(kind: WatchedKind, body: Body) -> Any:
    """The parts of an object that computations use, so that the echo of our own writes does not count as a change."""
    metadata = body["metadata"]
    common = (metadata.get("uid"), deleting(body))
    match kind:
        case WatchedKind.CONFIGMAPS:
            return *common, body.get("data")
        case WatchedKind.FLOWS:
            return *common, metadata.get("generation")
        case WatchedKind.ACTORS:
            return *common, metadata.get("generation"), metadata.get("labels"), actor_state(body)
        case WatchedKind.DEPLOYMENTS:
            return metadata.get("resourceVersion")
        case WatchedKind.SCALED_OBJECTS:
            # KEDA updates its status each time it checks a queue.
            ready = state_of(body, "Ready") or {}
            said = ready.get("status"), ready.get("message")
            return *common, metadata.get("generation"), metadata.get("labels"), metadata.get("ownerReferences"), said


def wish(kind: WatchedKind, body: Body) -> Any:
    """The parts of an object that users write and we never do; None for the kinds that we create."""
    metadata = body["metadata"]
    match kind:
        case WatchedKind.CONFIGMAPS:
            return metadata.get("uid"), deleting(body), body.get("data")
        case WatchedKind.FLOWS | WatchedKind.ACTORS:
            return metadata.get("uid"), deleting(body), metadata.get("generation"), metadata.get("labels")
        case WatchedKind.DEPLOYMENTS | WatchedKind.SCALED_OBJECTS:
            return None


def deleting(body: Body) -> bool:
    """Whether the object is being deleted."""
    return body["metadata"].get("deletionTimestamp") is not None


def actor_name(body: Body) -> str:
    """The actor that an AsyncActor runs. The oldest manifests give its name in their metadata only."""
    spec: Any = body.get("spec")
    name = spec.get("actor") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) and name else str(body["metadata"]["name"])


def actor_state(body: Body) -> ActorReadiness:
    """The state of an AsyncActor that matters to flows, whichever controller wrote it."""
    status: Any = body.get("status") or {}
    phase = status.get("phase")
    if phase in ("Ready", "Napping", "Running"):
        return ActorReadiness(True)
    infrastructure = status.get("infrastructure") or {}
    messages = [
        str(part["message"]) for part in infrastructure.values() if isinstance(part, Mapping) and part.get("message")
    ]
    return ActorReadiness(
        False, "; ".join(messages) or (f"phase {phase}" if phase else "no controller has reported its status")
    )
