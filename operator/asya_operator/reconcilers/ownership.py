"""Whose an object is: the operator never writes over what somebody else made."""

from collections.abc import Mapping
from typing import Any

from asya_operator.domain.ports import Cluster
from asya_operator.domain.resources.common import MANAGER, ActorResource


async def is_ours(cluster: Cluster, actor: ActorResource, document: Mapping[str, Any]) -> bool:
    """Whether the object is the actor's, was made by this operator, or is not there."""
    there = await cluster.get(document)
    if there is None:
        return True
    owners = {owner.get("uid") for owner in there["metadata"].get("ownerReferences") or []}
    managed_by = (there["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by")
    return actor.body["metadata"]["uid"] in owners or managed_by == MANAGER
