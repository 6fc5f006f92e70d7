"""The part of the Kubernetes API that the domain needs: one namespace, a few kinds."""

import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asya_crds.naming import ACTOR_LABEL, API_VERSION, FLAVOR_LABEL, FLOWS_CONFIGMAP
from asya_operator.cluster.rest import APPLY_PATCH, MERGE_PATCH, Rest, error_of
from asya_operator.domain.errors import KindMissing, OutsideError
from asya_operator.domain.ports import KubernetesEvent, ObjectList, WatchedKind
from asya_operator.domain.resources.common import MANAGER
from asya_operator.domain.views import Body, as_version

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collection:
    """The API path of a kind's objects."""

    api: str
    api_version: str
    kind: str
    selector: tuple[str, str] | None = None


COLLECTIONS = {
    WatchedKind.CONFIGMAPS: Collection(
        "/api/v1", "v1", "ConfigMap", ("fieldSelector", f"metadata.name={FLOWS_CONFIGMAP}")
    ),
    WatchedKind.FLOWS: Collection(f"/apis/{API_VERSION}", API_VERSION, "Flow"),
    WatchedKind.ACTORS: Collection(f"/apis/{API_VERSION}", API_VERSION, "AsyncActor"),
    WatchedKind.DEPLOYMENTS: Collection("/apis/apps/v1", "apps/v1", "Deployment", ("labelSelector", ACTOR_LABEL)),
    WatchedKind.SCALED_OBJECTS: Collection(
        "/apis/keda.sh/v1alpha1", "keda.sh/v1alpha1", "ScaledObject", ("labelSelector", ACTOR_LABEL)
    ),
}
FLAVORS = "/apis/apiextensions.crossplane.io/v1beta1/environmentconfigs"
PLURALS = {
    "Deployment": "deployments",
    "ServiceAccount": "serviceaccounts",
    "ScaledObject": "scaledobjects",
    "TriggerAuthentication": "triggerauthentications",
}


class KubernetesCluster:
    """Implements domain/ports.Cluster."""

    def __init__(self, rest: Rest, namespace: str, pod: str) -> None:
        self._rest, self._namespace, self._pod = rest, namespace, pod

    async def list(self, kind: WatchedKind) -> ObjectList:
        collection = COLLECTIONS[kind]
        query = {} if collection.selector is None else {collection.selector[0]: collection.selector[1]}
        answer = await self._rest.call("GET", self._path(collection.api, kind.value), query=query, timeout=30.0)
        if answer.status == 404:
            raise KindMissing(f"{kind.value}: not installed")
        if answer.status >= 300:
            raise error_of(answer, f"list {kind.value}")
        # Items of a list lack apiVersion and kind, which the list gives for all of them.
        types = {"apiVersion": collection.api_version, "kind": collection.kind}
        bodies = [{**types, **item} for item in answer.body.get("items") or []]
        return ObjectList(bodies, as_version(answer.body["metadata"].get("resourceVersion")))

    async def patch_status(self, kind: WatchedKind, body: Body, status: Mapping[str, Any]) -> Body:
        path = f"{self._path(COLLECTIONS[kind].api, kind.value)}/{body['metadata']['name']}/status"
        patch = {"metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}, "status": status}
        return await self._patch(path, patch)

    async def annotate(self, kind: WatchedKind, body: Body, annotations: Mapping[str, str]) -> Body:
        path = f"{self._path(COLLECTIONS[kind].api, kind.value)}/{body['metadata']['name']}"
        return await self._patch(path, {"metadata": {"annotations": annotations, "uid": body["metadata"]["uid"]}})

    async def _patch(self, path: str, patch: Mapping[str, Any]) -> Body:
        query = {"fieldManager": MANAGER}
        written: Body = await self._rest.ask("PATCH", path, body=patch, content_type=MERGE_PATCH, query=query)
        return written

    async def apply(self, document: Mapping[str, Any], *, manager: str | None = None) -> Body:
        query = {"fieldManager": manager or MANAGER, "force": "true"}
        written: Body = await self._rest.ask(
            "PATCH", self._object(document), body=document, content_type=APPLY_PATCH, query=query
        )
        return written

    async def get(self, document: Mapping[str, Any]) -> Body | None:
        answer = await self._rest.call("GET", self._object(document))
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise error_of(answer, f"get {document['kind']}")
        found: Body = answer.body
        return found

    async def delete(self, document: Mapping[str, Any], *, owner_uid: str) -> None:
        found = await self.get(document)
        if found is None:
            return
        owners = found["metadata"].get("ownerReferences") or []
        if all(owner.get("uid") != owner_uid for owner in owners):
            return
        options = {"preconditions": {"uid": found["metadata"]["uid"]}, "propagationPolicy": "Background"}
        answer = await self._rest.call("DELETE", self._object(document), body=options)
        if answer.status >= 300 and answer.status not in (404, 409):
            raise error_of(answer, f"delete {document['kind']}")

    async def post(self, notice: KubernetesEvent) -> None:
        about, now = notice.about, datetime.now(UTC)  # noqa: TID251 # shown, and compared with nothing
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{about['metadata']['name']}.{uuid.uuid4().hex[:16]}", "namespace": self._namespace},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if notice.warning else "Normal",
            "reason": notice.reason,
            "action": notice.action,
            "note": notice.message.encode()[:1000].decode(errors="ignore"),
            "reportingController": "asya.sh/operator",
            "reportingInstance": self._pod[:128],
            "regarding": {
                "apiVersion": about.get("apiVersion"),
                "kind": about.get("kind"),
                "name": about["metadata"]["name"],
                "namespace": self._namespace,
                "uid": about["metadata"].get("uid"),
                "resourceVersion": about["metadata"].get("resourceVersion"),
            },
        }
        try:
            await self._rest.ask("POST", self._path("/apis/events.k8s.io/v1", "events"), body=event)
        except OutsideError as error:
            log.warning("event not posted: %s", error)

    async def pods_of(self, actor: str) -> Sequence[Body]:
        query = {"labelSelector": f"{ACTOR_LABEL}={actor}", "limit": "20"}
        answer = await self._rest.ask("GET", self._path("/api/v1", "pods"), query=query)
        pods: list[Body] = answer.get("items") or []
        return pods

    async def flavors(self) -> Sequence[Body]:
        answer = await self._rest.call("GET", FLAVORS, query={"labelSelector": FLAVOR_LABEL})
        if answer.status == 404:
            raise KindMissing("EnvironmentConfig: not installed")
        if answer.status >= 300:
            raise error_of(answer, "list environmentconfigs")
        found: list[Body] = answer.body.get("items") or []
        return found

    def _path(self, api: str, plural: str) -> str:
        return f"{api}/namespaces/{self._namespace}/{plural}"

    def _object(self, document: Mapping[str, Any]) -> str:
        version = document["apiVersion"]
        api = f"/apis/{version}" if "/" in version else f"/api/{version}"
        with contextlib.suppress(KeyError):
            return f"{self._path(api, PLURALS[document['kind']])}/{document['metadata']['name']}"
        raise ValueError(f"{document['kind']}: not a kind that the operator writes")
