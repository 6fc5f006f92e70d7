"""Ownership of objects: the operator never overwrites objects that it did not create."""

from collections.abc import Mapping
from typing import Any

from asya_operator.domain.ports import Cluster
from asya_operator.domain.resources.common import MANAGER, ActorResource


async def is_ours(cluster: Cluster, actor: ActorResource, document: Mapping[str, Any]) -> bool:
    """Whether the object belongs to the actor, was created by this operator, or does not exist."""
    there = await cluster.get(document)
    if there is None:
        return True
    owners = {owner.get("uid") for owner in there["metadata"].get("ownerReferences") or []}
    managed_by = (there["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by")
    return actor.body["metadata"]["uid"] in owners or managed_by == MANAGER
