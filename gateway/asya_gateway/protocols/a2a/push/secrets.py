"""What a destination keeps sealed: the token, and the credentials of its Authorization header."""

from dataclasses import dataclass, field

from asya_crds import jsontext
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.sealing import Sealing
from asya_gateway.protocols.a2a.model import PushConfig

LIFETIME = 100 * 365 * 86_400.0
"""Seconds for which the secrets can be opened: always, as long as there is their key."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a receiver is to find in a notification; "" is absent."""

    token: str = field(default="", repr=False)
    credentials: str = field(default="", repr=False)


async def sealed(sealing: Sealing, config: PushConfig, task_id: str, name: str) -> str | None:
    """The secrets as they are stored, None without any. Raises Unavailable."""
    if not (config.token or config.credentials):
        return None
    text = jsontext.dumps([config.token, config.credentials])
    return await sealing.seal(text, _about(task_id, name, config.url), LIFETIME)


async def opened(sealing: Sealing, destination: Destination) -> Secrets | None:
    """The secrets; None if no key opens them. Raises Unavailable."""
    if destination.sealed is None:
        return Secrets()
    at = destination
    text = await sealing.unseal(destination.sealed, _about(at.task_id, at.name, at.url))
    return None if text is None else Secrets(*jsontext.loads(text))


def _about(task_id: str, name: str, url: str) -> bytes:
    """Whoever can write the table cannot have the secrets sent to another URL."""
    return jsontext.dumps(["a2a push", task_id, name, url]).encode()
