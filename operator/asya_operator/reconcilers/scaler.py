"""Applies an actor's ScaledObject, and reports its state in KEDA."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_operator.domain.actor_status import PartStatus, scaling
from asya_operator.domain.drift import contains
from asya_operator.domain.ports import Cluster, WatchedKind
from asya_operator.domain.resources.common import ActorResource, Surroundings
from asya_operator.domain.resources.scaled_object import scaled_object, scaled_object_reference
from asya_operator.domain.resources.trigger_authentication import trigger_authentication
from asya_operator.reconcilers.ownership import is_ours
from asya_operator.reconcilers.sources import Sources


class Scaler:
    """Remembers what it last applied, so that an unchanged actor costs no request."""

    def __init__(self, sources: Sources, cluster: Cluster, around: Surroundings) -> None:
        self._sources, self._cluster, self._around = sources, cluster, around
        self._applied: dict[str, str] = {}

    def forget(self, actor: str) -> None:
        """The actor is gone."""
        self._applied.pop(actor, None)

    async def scale(self, actor: ActorResource, queue: str, *, scaled: bool) -> PartStatus | None:
        """Create or delete the ScaledObject for the queue with this address; returns None if nothing scales the
        actor."""
        live = self._sources.views[WatchedKind.SCALED_OBJECTS].get(actor.name)
        if not scaled or actor.spec.scaling is None:
            self.forget(actor.name)
            if live is not None:
                owner = str(actor.body["metadata"]["uid"])
                await self._cluster.delete(scaled_object_reference(actor, self._around), owner_uid=owner)
            return None
        wanted = scaled_object(actor, self._around, actor.spec.scaling, queue)
        same = self._applied.get(actor.name) == jsontext.canonical(wanted)
        if live is not None and same and contains(live, wanted) and scaling(live).ready:
            return scaling(live)
        return await self._apply(actor, queue, wanted)

    async def _apply(self, actor: ActorResource, queue: str, wanted: Mapping[str, Any]) -> PartStatus:
        """Apply KEDA's objects, also while they are not ready, because the TriggerAuthentication is not watched."""
        assert actor.spec.scaling is not None, "only called where something scales the actor"
        authentication = trigger_authentication(actor, self._around, actor.spec.scaling, queue)
        for document in (authentication, wanted):
            if document is not None and not await is_ours(self._cluster, actor, document):
                return PartStatus(
                    False, f"{document['kind']} {document['metadata']['name']} does not belong to this operator"
                )
        if authentication is not None:
            await self._cluster.apply(authentication)
        live = await self._cluster.apply(wanted)
        self._applied[actor.name] = jsontext.canonical(wanted)
        self._sources.written(WatchedKind.SCALED_OBJECTS, live)
        return scaling(live)
