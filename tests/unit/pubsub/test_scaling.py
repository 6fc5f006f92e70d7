"""KEDA's trigger for Pub/Sub, and the identity with which it reads."""

from dataclasses import replace
from typing import Any

import pytest

from asya_operator.domain.resources.deployment import deployment
from asya_operator.domain.resources.trigger_authentication import trigger_authentication
from asya_transports.known import describe
from tests.unit.asya_operator.test_actor_objects import AROUND, actor, env, pod

PROJECT = {"ASYA_PUBSUB_PROJECT_ID": "my-project"}


def authentication(variables: dict[str, str], secret: str = "") -> dict[str, Any] | None:
    """The TriggerAuthentication of an actor whose queue is in Pub/Sub."""
    given = actor()
    assert given.spec.scaling is not None
    around = replace(AROUND, transport="pubsub", variables=variables, secret=secret)
    return trigger_authentication(given, around, given.spec.scaling, "asya-n-image-enhance")


def test_keda_is_told_the_subscription_of_the_project_and_the_size_for_one_replica() -> None:
    trigger = describe("pubsub").trigger("asya-n-worker", 7, PROJECT)
    assert trigger.type == "gcp-pubsub"
    assert trigger.metadata == {
        "subscriptionName": "projects/my-project/subscriptions/asya-n-worker",
        "mode": "SubscriptionSize",
        "value": "7",
    }
    assert trigger.secrets == ()


@pytest.mark.parametrize(
    ("variables", "provider"), [({}, "gcp"), ({"ASYA_KEDA_PUBSUB_POD_IDENTITY": "gcp-other"}, "gcp-other")]
)
def test_keda_reads_with_the_identity_of_its_own_pod(variables: dict[str, str], provider: str) -> None:
    """Whether there is a Secret or not: no key of it is for KEDA."""
    for secret in ("", "asya-transport"):
        document = authentication({**PROJECT, **variables}, secret)
        assert document is not None
        assert document["spec"] == {"podIdentity": {"provider": provider}}


def test_an_installation_with_a_trigger_authentication_of_its_own_keeps_it() -> None:
    variables = {**PROJECT, "ASYA_KEDA_PUBSUB_AUTH": "ours"}
    assert describe("pubsub").trigger("asya-n-worker", 7, variables).authentication == "ours"
    assert authentication(variables) is None


def test_actors_get_the_project_and_the_endpoint_of_the_operator() -> None:
    variables = {**PROJECT, "ASYA_PUBSUB_ENDPOINT": "emulator:8085"}
    around = replace(AROUND, transport="pubsub", variables=variables)
    values = env(pod(deployment(actor(), around, replicas=None))["containers"][0])
    assert {name: values[name] for name in ("ASYA_TRANSPORT", *variables)} == {"ASYA_TRANSPORT": "pubsub", **variables}
