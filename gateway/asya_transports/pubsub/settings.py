"""Settings of Google Cloud Pub/Sub. Times are in seconds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from asya_crds.setting_types import check_listen_host
from asya_transports.description import TransportSettingsError, Variable

LARGEST_REQUEST = 10_000_000
"""Most bytes of one publish request, and so of one message (Pub/Sub's quotas and limits)."""
RESERVED = 64 * 1024
"""Bytes of it for attributes and framing, which the copy of a message has too."""
MAX_MESSAGE_BYTES = LARGEST_REQUEST - RESERVED

LEASE = 30.0
"""How long a dead consumer keeps its messages. A live one renews three times in that time, so it need not cover the
longest handler."""

_PROJECT = re.compile(r"[a-z][a-z0-9.:_-]{2,99}")


@dataclass(frozen=True, slots=True)
class PubSubSettings:
    """The topics and subscriptions of one project."""

    project: str
    endpoint: str = ""
    """`host:port` of an emulator, which is reached without TLS and credentials; empty for the service."""
    lease: float = LEASE
    publish_timeout: float = 5.0
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""
        return "pubsub"

    @property
    def place(self) -> str:
        """The project."""
        return self.project


VARIABLES = (
    Variable("ASYA_PUBSUB_PROJECT_ID", "", "Google Cloud project of the topics and subscriptions. Required."),
    Variable(
        "ASYA_PUBSUB_ENDPOINT",
        "",
        "`host:port` of an emulator, used without TLS and credentials. If empty, the service, with Application Default "
        "Credentials.",
    ),
)


def read_settings(environment: Mapping[str, str]) -> PubSubSettings:
    """The settings from the environment. Raises TransportSettingsError."""
    return PubSubSettings(project=_project(environment), endpoint=_endpoint(environment))


def _project(environment: Mapping[str, str]) -> str:
    project = environment.get("ASYA_PUBSUB_PROJECT_ID") or ""
    if not project:
        raise TransportSettingsError("ASYA_PUBSUB_PROJECT_ID: expected a project's id, since ASYA_TRANSPORT is pubsub")
    if not _PROJECT.fullmatch(project):
        raise TransportSettingsError(
            f"ASYA_PUBSUB_PROJECT_ID: expected a project's id such as my-project-1, not {project[:40]!r}"
        )
    return project


def _endpoint(environment: Mapping[str, str]) -> str:
    endpoint = environment.get("ASYA_PUBSUB_ENDPOINT") or ""
    if not endpoint:
        return ""
    host, _, port = endpoint.rpartition(":")
    try:
        check_listen_host(host.removeprefix("[").removesuffix("]"))
        valid = port.isascii() and port.isdigit() and 0 < int(port) < 65_536
    except ValueError:
        valid = False
    if not valid:
        raise TransportSettingsError(f"ASYA_PUBSUB_ENDPOINT: expected host:port, not {endpoint[:60]!r}")
    return endpoint
