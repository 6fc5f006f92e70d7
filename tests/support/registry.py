"""Pods and pushes for tests of the registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asya_crds.offloading import Offload
from asya_crds.registry_document import ConfigMapPart, RegistryPush, ResourcesPart
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.registry.registrar import Registrar
from asya_gateway.registry.watch import RegistryWatch
from asya_gateway.storage.registry.store import PostgresRegistry
from tests.support.storage import Running, make_storage


class Pod:
    """One gateway process's part in the registry, with its own connections."""

    def __init__(self, url: str, name: str, mode: str = "api", path: Path | str = "", **changes: Any) -> None:
        self.running: Running = make_storage(url, patience=1.0)
        storage = self.running.storage
        self.offload = Offload()
        self.store = PostgresRegistry(storage.database, storage.bell, self.offload)
        self.flows = FlowRegistry()
        intervals = {"poll_interval": 0.1, "beat_interval": 0.2}
        self.watch = RegistryWatch(
            self.store, self.flows, self.offload, pod=name, mode=mode, config_path=str(path), **(intervals | changes)
        )
        self.registrar = Registrar(self.store, self.offload)

    async def start(self) -> "Pod":
        await self.running.storage.start()
        await self.watch.start()
        return self

    async def stop(self) -> None:
        await self.watch.stop()
        await self.offload.close()
        await self.running.storage.stop()

    @property
    def generation(self) -> int:
        return self.flows.table.generation

    @property
    def served(self) -> list[str]:
        return list(self.flows.table.flows)

    @property
    def problems(self) -> list[str]:
        return [problem.name for problem in self.flows.table.problems]

    async def silence_operator(self, seconds: float = 60.0) -> None:
        """Move the operator's last heartbeat into the past."""
        await self.running.storage.database.execute(
            "UPDATE registry SET operator_seen_at = clock_timestamp() - make_interval(secs => $1)", seconds
        )


def entry(name: str, source: str = "flows.yaml", line: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"source": source, "line": line, "flow": {"name": name, "entrypoint": "a", "mcp": {}, **fields}}


def push(
    epoch: int,
    *flows: Mapping[str, Any],
    hash: str | None = "sha256:1",
    resources: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> RegistryPush:
    return RegistryPush(
        epoch=epoch,
        configmap=ConfigMapPart.model_validate({"hash": hash, "flows": list(flows), **changes}),
        resources=None if resources is None else ResourcesPart.model_validate({"flows": resources}),
    )
