"""What the objects of an actor have in common: names, labels, owner and security context."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asya_crds.async_actor import AsyncActorSpec
from asya_crds.naming import ACTOR_LABEL, COMPONENT_LABEL, CREW
from asya_operator.domain.views import Body

MANAGER = "asya-operator"
"""The operator's field manager, and the label `app.kubernetes.io/managed-by` of its objects."""
Document = dict[str, Any]
NAME_LABEL = "app.kubernetes.io/name"
_NOT_INHERITED = ("crossplane.io/", "app.kubernetes.io/")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Settings of the operator that affect the objects it builds."""

    namespace: str
    transport: str
    mesh_url: str
    secret: str
    service_account: str
    runtime_configmap: str
    run_as_user: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """The operator's own variables for the transport, without secrets (TransportDescription.visible)."""


@dataclass(frozen=True, slots=True)
class ActorResource:
    """A decoded AsyncActor with its object."""

    spec: AsyncActorSpec
    body: Body

    @property
    def name(self) -> str:
        """The name of the queue, the Deployment and the ScaledObject."""
        return self.spec.actor

    @property
    def crew(self) -> bool:
        """Whether this is one of the four crew actors."""
        return self.spec.actor in CREW


def labels(actor: ActorResource) -> dict[str, str]:
    """Labels of the Deployment and its pods: the user's, and those that other programs look for."""
    own = (actor.body["metadata"].get("labels") or {}).items()
    return {
        **{key: value for key, value in own if not key.startswith(_NOT_INHERITED)},
        NAME_LABEL: actor.name,
        "app.kubernetes.io/component": "actor",
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": "asya",
        ACTOR_LABEL: actor.name,
        COMPONENT_LABEL: "crew" if actor.crew else "actor",
    }


def owned_by(body: Body) -> list[Document]:
    """Owner references, so that Kubernetes removes the actor's objects together with it."""
    return [
        {
            "apiVersion": "asya.sh/v1alpha1",
            "kind": "AsyncActor",
            "name": body["metadata"]["name"],
            "uid": body["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def metadata(actor: ActorResource, around: Surroundings) -> Document:
    """The metadata of an actor's objects."""
    return {
        "name": actor.name,
        "namespace": around.namespace,
        "labels": labels(actor),
        "ownerReferences": owned_by(actor.body),
    }


def restricted(run_as_user: int | None) -> Document:
    """A container's securityContext by the PodSecurity standard `restricted`."""
    user = {} if run_as_user is None else {"runAsUser": run_as_user}
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **user,
    }


def without_nothing(document: Mapping[str, Any]) -> Document:
    """The document without empty fields. Server-side apply would otherwise take ownership of them."""
    return {key: value for key, value in document.items() if value not in (None, [], {}, "")}
