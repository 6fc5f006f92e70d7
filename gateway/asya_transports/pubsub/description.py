"""The description of Google Cloud Pub/Sub."""

from collections.abc import Mapping

from asya_crds.setting_types import check_object_name
from asya_transports.description import QueueLimits, TransportDescription, Trigger, Variable
from asya_transports.pubsub.delays import LONGEST_DELAY
from asya_transports.pubsub.settings import VARIABLES, read_settings

AUTHENTICATION = "ASYA_KEDA_PUBSUB_AUTH"
IDENTITY = "ASYA_KEDA_PUBSUB_POD_IDENTITY"


def trigger(queue: str, length: int, variables: Mapping[str, str]) -> Trigger:
    """KEDA's gcp-pubsub trigger. It asks Cloud Monitoring, whose count (`num_undelivered_messages`) includes the
    messages that workers hold and is a few minutes old. KEDA reads it with the identity of its own pod, so there is
    no secret."""
    metadata = {"subscriptionName": queue, "mode": "SubscriptionSize", "value": str(length)}
    project = variables.get("ASYA_PUBSUB_PROJECT_ID", "")
    if project:
        metadata["subscriptionName"] = f"projects/{project}/subscriptions/{queue}"
    own = variables.get(AUTHENTICATION, "")
    return Trigger("gcp-pubsub", metadata, authentication=own, pod_identity=variables.get(IDENTITY, "gcp"))


def _check_provider(value: str) -> None:
    if not (value.isascii() and value.replace("-", "").isalnum() and len(value) <= 63):
        raise ValueError(f"expected a provider of KEDA's pod identity such as gcp, not {value[:40]!r}")


DESCRIPTION = TransportDescription(
    name="pubsub",
    variables=VARIABLES,
    read=read_settings,
    transport="asya_transports.pubsub.transport:PubSubTransport",
    trigger=trigger,
    limits=QueueLimits(
        longest_delay=LONGEST_DELAY,
        one_consumer_each=False,
        late_answers_noticed=False,
        in_order=False,
        depth_known=False,
    ),
    drivers=("google.pubsub_v1", "grpc"),
    extra="pubsub",
    advice=(
        "Set ASYA_PUBSUB_PROJECT_ID, and ASYA_PUBSUB_ENDPOINT to an emulator's host:port, or log in with "
        "`gcloud auth application-default login`"
    ),
    operator_variables=(
        Variable(
            AUTHENTICATION,
            "",
            "Name of an existing TriggerAuthentication for KEDA's gcp-pubsub trigger; if empty, one with a pod "
            "identity is created for each actor.",
            check=check_object_name,
        ),
        Variable(
            IDENTITY,
            "gcp",
            "Provider of the pod identity with which KEDA reads the subscription's size, in the TriggerAuthentications "
            "that the operator creates.",
            check=_check_provider,
        ),
    ),
    shared=("ASYA_PUBSUB_PROJECT_ID", "ASYA_PUBSUB_ENDPOINT"),
)
