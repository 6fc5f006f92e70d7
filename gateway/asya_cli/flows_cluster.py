"""Flows in the cluster: the ConfigMap, Flow resources, and what the operator reports about both."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asya_cli.errors import CliError, ExitCode
from asya_crds import jsontext
from asya_crds.flows_file import content_hash
from asya_crds.naming import API_VERSION, FLOWS_CONFIGMAP
from asya_operator.cluster.connection import NoCluster, connect, kubeconfig
from asya_operator.cluster.rest import APPLY_PATCH, Rest
from asya_operator.domain.errors import ApiForbidden, Busy, Conflicting, OutsideError, Unreachable, Vanished
from asya_operator.domain.report import REPORT_ANNOTATION

MANAGER = "asya-cli"
TRIES = 20
BUSY_PATIENCE = 15.0
"""Seconds for which a request is repeated while the API server asks to retry, as it does while a new CRD is being set
up."""
WITHOUT_CLUSTER = "the flows of `asya dev` are in the flows.yaml of its folder"
LOOK_EVERY = 0.25
"""Seconds between two reads of the operator's report."""


@dataclass(frozen=True, slots=True)
class ExposedFlow:
    """The state of one exposed flow. `programmed` is None if nothing has been reported yet."""

    name: str
    source: str
    flow: Mapping[str, Any] = field(default_factory=dict)
    programmed: bool | None = None
    rejected: str = ""
    message: str = ""


class FlowsCluster:
    """One namespace of a cluster."""

    def __init__(self, rest: Rest, namespace: str) -> None:
        self._rest, self.namespace = rest, namespace
        self._maps = f"/api/v1/namespaces/{namespace}/configmaps"
        self._flows = f"/apis/{API_VERSION}/namespaces/{namespace}/flows"

    @classmethod
    async def open(cls, namespace: str | None, context: str | None = None) -> "FlowsCluster":
        """Connect with KUBECONFIG. Raises CliError if there is no cluster."""
        from kubernetes_asyncio.config import ConfigException, list_kube_config_contexts

        try:
            rest = Rest(await connect(context))
        except (NoCluster, OSError) as error:
            raise CliError(f"no cluster: {error}; {WITHOUT_CLUSTER}", ExitCode.UNREACHABLE) from None
        if namespace is None:
            try:
                _, active = list_kube_config_contexts(kubeconfig())
                namespace = active["context"].get("namespace") if active else None
            except (NoCluster, ConfigException, OSError, KeyError, TypeError):
                namespace = None
        return cls(rest, namespace or "default")

    async def close(self) -> None:
        """Close the client."""
        await self._rest.close()

    async def configmap(self) -> dict[str, Any] | None:
        """The ConfigMap gateway-flows; None if there is none."""
        try:
            found: dict[str, Any] = await self._ask("GET", f"{self._maps}/{FLOWS_CONFIGMAP}")
        except Vanished:
            return None
        return found

    async def resources(self) -> list[dict[str, Any]]:
        """Every Flow in the namespace; empty if the CRD is not installed."""
        try:
            listed = await self._ask("GET", self._flows)
        except Vanished:
            return []
        items: list[dict[str, Any]] = listed["items"]
        return items

    async def edit(
        self, change: Callable[[dict[str, str]], dict[str, str]], *, dry_run: bool
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Read, change and write the ConfigMap, and repeat if another writer changed it in between, so that no edit is
        lost. Returns the data before and after. Errors of `change` are passed on."""
        for _ in range(TRIES):
            found = await self.configmap()
            before: dict[str, str] = dict((found or {}).get("data") or {})
            after = change(dict(before))
            if dry_run or after == before:
                return before, after
            try:
                await self._write(found, after)
            except Conflicting:
                await asyncio.sleep(0.05)
                continue
            return before, after
        raise CliError("the ConfigMap is changed continuously by others; nothing was done")

    async def _write(self, found: dict[str, Any] | None, data: dict[str, str]) -> None:
        if found is None:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": FLOWS_CONFIGMAP, "labels": {"app.kubernetes.io/part-of": "asya"}},
                "data": data,
            }
            await self._ask("POST", f"{self._maps}?fieldManager={MANAGER}", body=body)
            return
        body = {**found, "data": data}  # with its resourceVersion: a second writer gets a conflict
        await self._ask("PUT", f"{self._maps}/{FLOWS_CONFIGMAP}?fieldManager={MANAGER}", body=body)

    async def apply(self, name: str, spec: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """Apply a Flow resource under our field manager, so that fields of other managers stay theirs."""
        body = {"apiVersion": API_VERSION, "kind": "Flow", "metadata": {"name": name}, "spec": spec}
        query = f"?fieldManager={MANAGER}&force=true" + ("&dryRun=All" if dry_run else "")
        applied: dict[str, Any] = await self._ask(
            "PATCH", f"{self._flows}/{name}{query}", body=body, content_type=APPLY_PATCH
        )
        return applied

    async def delete(self, name: str, *, dry_run: bool) -> bool:
        """Delete a Flow resource; False if there is none."""
        try:
            await self._ask("DELETE", f"{self._flows}/{name}" + ("?dryRun=All" if dry_run else ""))
        except Vanished:
            return False
        return True

    async def standing(self, name: str) -> ExposedFlow | None:
        """The current state of a flow, from the ConfigMap's report or the Flow's conditions."""
        found = await self.configmap()
        for each in (*in_configmap(found), *(in_resource(body) for body in await self.resources())):
            if each.name == name:
                return each
        return None

    async def wait_programmed(self, name: str, timeout: float) -> ExposedFlow:
        """Wait until every gateway pod serves the current flow. Raises CliError with the reason if it is refused, or if
        nothing is reported for `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            standing = await self.standing(name)
            if standing is not None and standing.programmed:
                return standing
            if standing is not None and standing.rejected:
                raise CliError(f"{name} is not served: {standing.rejected}")
            if time.monotonic() > end:
                said = standing.message if standing and standing.message else "no operator has reported its status"
                raise CliError(f"{name} is stored, but not served after {timeout:g} s: {said}")
            await asyncio.sleep(LOOK_EVERY)

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        until = time.monotonic() + BUSY_PATIENCE
        try:
            while True:
                try:
                    return await self._rest.ask(method, path, **options)
                except Busy:
                    if time.monotonic() >= until:
                        raise
                await asyncio.sleep(LOOK_EVERY)
        except Unreachable as error:
            raise CliError(str(error), ExitCode.UNREACHABLE) from None
        except ApiForbidden as error:
            raise CliError(str(error)) from None
        except (Conflicting, Vanished):
            raise
        except OutsideError as error:
            raise CliError(str(error)) from None


def in_configmap(found: Mapping[str, Any] | None) -> list[ExposedFlow]:
    """Every entry of the ConfigMap with its state from the report. A report about another text is ignored."""
    import yaml

    from asya_crds.flows_file import read_texts
    from asya_crds.yaml_text import Yaml

    if found is None:
        return []
    data = found.get("data") or {}
    texts = {key: text.encode("utf-8", "surrogatepass") for key, text in data.items()}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read = read_texts(texts, Yaml(loader, yaml.YAMLError))
    report = _report(found)
    current = report.get("hash") == content_hash(texts)
    told = {item["name"]: item for item in report.get("flows", [])} if current else {}
    problems = {item["name"]: item["message"] for item in report.get("problems", [])} if current else {}
    result = []
    for each in read.flows:
        said = told.get(each.flow.name, {})
        programmed = said.get("programmed", report.get("programmed")) if current else None
        result.append(
            ExposedFlow(
                each.flow.name,
                f"ConfigMap {each.source}:{each.line}",
                each.flow.document(),
                None if each.flow.name in problems else programmed,
                problems.get(each.flow.name, ""),
                said.get("message", ""),
            )
        )
    return result + [
        ExposedFlow(each.name or "?", f"ConfigMap {each.source}:{each.line}", {}, None, each.reason)
        for each in read.problems
    ]


def _report(found: Mapping[str, Any]) -> dict[str, Any]:
    text = (found["metadata"].get("annotations") or {}).get(REPORT_ANNOTATION)
    try:
        report = jsontext.loads(text or "{}")
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def in_resource(body: Mapping[str, Any]) -> ExposedFlow:
    """A Flow with the state from its conditions. Conditions of an older spec are ignored."""
    spec, name = body.get("spec") or {}, body["metadata"]["name"]
    generation = body["metadata"].get("generation")
    conditions = {
        item["type"]: item
        for item in (body.get("status") or {}).get("conditions") or []
        if item.get("observedGeneration") == generation
    }
    accepted, programmed = conditions.get("Accepted", {}), conditions.get("Programmed")
    return ExposedFlow(
        spec.get("name") or name,
        f"Flow {name}",
        {"name": spec.get("name") or name, **spec},
        None if programmed is None else programmed["status"] == "True",
        accepted.get("message", "") if accepted.get("status") == "False" else "",
        programmed["message"] if programmed else "",
    )
