"""The known queue systems: one line for each folder."""

import os
from collections.abc import Mapping

from asya_transports.description import TransportDescription, TransportSettings, TransportSettingsError
from asya_transports.postgres.description import DESCRIPTION as POSTGRES
from asya_transports.pubsub.description import DESCRIPTION as PUBSUB
from asya_transports.rabbitmq.description import DESCRIPTION as RABBITMQ
from asya_transports.sqs.description import DESCRIPTION as SQS

DESCRIPTIONS: Mapping[str, TransportDescription] = {each.name: each for each in (POSTGRES, RABBITMQ, PUBSUB, SQS)}
EMBEDDED = POSTGRES
"""The default, which needs only the gateway's own database."""


def describe(name: str) -> TransportDescription:
    """The description of the transport with this name. Raises TransportSettingsError."""
    found = DESCRIPTIONS.get(name)
    if found is None:
        raise TransportSettingsError(f"ASYA_TRANSPORT: expected one of {', '.join(DESCRIPTIONS)}, not {name[:40]!r}")
    return found


def check_transport_name(name: str) -> str:
    """The name of a known transport; raises ValueError."""
    if name not in DESCRIPTIONS:
        raise ValueError(f"expected one of {', '.join(DESCRIPTIONS)}")
    return name


def transport_settings(environment: Mapping[str, str] = os.environ) -> TransportSettings:
    """Read `ASYA_TRANSPORT` and the variables of that transport (docs/settings.md). Raises TransportSettingsError
    naming the variable.
    """
    return describe(environment.get("ASYA_TRANSPORT") or EMBEDDED.name).read(environment)
