"""Reads all flavors at once and caches them, because many actors share few flavors."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from asya_operator.domain.errors import ApiForbidden, KindMissing
from asya_operator.domain.flavors import Spec, by_name
from asya_operator.domain.ports import ActorCluster

FRESH = 5.0
"""Seconds for which cached flavors are used."""


class FlavorsMissing(Exception):
    """An actor's flavors cannot be read yet. The text names them and what to do."""


class FlavorCache:
    """A short-lived cache of the cluster's flavors."""

    def __init__(self, cluster: ActorCluster) -> None:
        self._cluster = cluster
        self._found: dict[str, Spec] = {}
        self._read_at = float("-inf")

    async def take(self, names: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
        """These flavors in their order. Raises FlavorsMissing, Unavailable."""
        if time.monotonic() - self._read_at > FRESH:
            self._found = await self._read()
            self._read_at = time.monotonic()
        missing = [name for name in names if name not in self._found]
        if missing:
            labels = ", ".join(f"asya.sh/flavor={name}" for name in missing)
            raise FlavorsMissing(f"spec.flavors: no EnvironmentConfig is labelled {labels}; the actor waits for it")
        return [(name, self._found[name]) for name in names]

    async def _read(self) -> dict[str, Spec]:
        try:
            return by_name(await self._cluster.flavors())
        except KindMissing:
            raise FlavorsMissing(
                "spec.flavors: the cluster has no EnvironmentConfig (apiextensions.crossplane.io/v1beta1)"
            ) from None
        except ApiForbidden as error:
            raise FlavorsMissing(f"spec.flavors: {error}; the component `flavors` of the manifests grants it") from None
