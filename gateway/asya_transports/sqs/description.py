"""The description of Amazon SQS."""

from collections.abc import Mapping

from asya_crds.setting_types import check_object_name
from asya_transports.description import QueueLimits, TransportDescription, Trigger, TriggerSecret, Variable
from asya_transports.sqs.characters import bytes_of
from asya_transports.sqs.settings import LONGEST_DELAY, LONGEST_NAME, VARIABLES, read_settings

AUTHENTICATION = "ASYA_KEDA_SQS_AUTH"
IDENTITY = "ASYA_KEDA_SQS_POD_IDENTITY"
BEFORE_AWS = "aws-eks"
"""The provider of KEDA before 2.13, which has no `aws`."""
IDENTITIES = ("aws", BEFORE_AWS, "none")
KEYS = (
    TriggerSecret("awsAccessKeyID", "AWS_ACCESS_KEY_ID"),
    TriggerSecret("awsSecretAccessKey", "AWS_SECRET_ACCESS_KEY"),
)
"""What the trigger reads from the transport's Secret where KEDA has no identity."""


def trigger(queue: str, length: int, variables: Mapping[str, str]) -> Trigger:
    """KEDA's aws-sqs-queue trigger. It counts waiting messages and those that workers hold, but none that is delayed:
    a retry in ten minutes is no work yet."""
    metadata = {
        "queueURL": queue,
        "queueLength": str(length),
        "awsRegion": read_settings(variables).region,
        "scaleOnInFlight": "true",
        "scaleOnDelayed": "false",
    }
    if endpoint := variables.get("ASYA_SQS_ENDPOINT"):
        metadata["awsEndpoint"] = endpoint
    if own := variables.get(AUTHENTICATION):
        return Trigger("aws-sqs-queue", metadata, authentication=own)
    identity = variables.get(IDENTITY) or IDENTITIES[0]
    if identity == "none":
        return Trigger("aws-sqs-queue", metadata, KEYS)
    if identity == BEFORE_AWS:
        # By default this provider takes the role of the actors' ServiceAccount, which may not ask for sizes.
        metadata["identityOwner"] = "operator"
    return Trigger("aws-sqs-queue", metadata, pod_identity=identity)


def _check_identity(value: str) -> None:
    if value not in IDENTITIES:
        raise ValueError(f"expected one of {', '.join(IDENTITIES)}, not {value[:40]!r}")


DESCRIPTION = TransportDescription(
    name="sqs",
    variables=VARIABLES,
    read=read_settings,
    transport="asya_transports.sqs.transport:SqsTransport",
    trigger=trigger,
    limits=QueueLimits(
        longest_name=LONGEST_NAME,
        longest_delay=LONGEST_DELAY,
        one_consumer_each=False,
        late_answers_noticed=False,
        in_order=False,
    ),
    bytes_of=bytes_of,
    drivers=("aiobotocore", "botocore"),
    extra="sqs",
    development={"ASYA_SQS_WAIT_TIME_SECONDS": "1"},
    advice=(
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (any, for a stand-in), ASYA_SQS_REGION, and ASYA_SQS_ENDPOINT "
        "or AWS_ENDPOINT_URL to the address of a stand-in such as http://localhost:4566"
    ),
    operator_variables=(
        Variable(
            IDENTITY,
            IDENTITIES[0],
            "Identity with which KEDA reads the queues, as `podIdentity.provider` of the TriggerAuthentication that is "
            "created for each actor: `aws`, `aws-eks` (KEDA before 2.13), or `none` for keys in the actors' Secret "
            "(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`).",
            check=_check_identity,
        ),
        Variable(
            AUTHENTICATION,
            "",
            "Name of an existing TriggerAuthentication for KEDA's aws-sqs-queue trigger; if empty, one is created for "
            "each actor.",
            check=check_object_name,
        ),
    ),
    shared=(
        "ASYA_SQS_REGION",
        "ASYA_AWS_REGION",
        "ASYA_SQS_ENDPOINT",
        "ASYA_SQS_VISIBILITY_TIMEOUT",
        "ASYA_SQS_WAIT_TIME_SECONDS",
        "ASYA_SQS_MAX_MESSAGE_BYTES",
    ),
)
