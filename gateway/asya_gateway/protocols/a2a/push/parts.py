"""What the operations on configurations need."""

from dataclasses import dataclass

from aiohttp.web import AppKey

from asya_gateway.domain.destinations import Destinations
from asya_gateway.domain.identity.audit import Audit
from asya_gateway.domain.sealing import Sealing
from asya_gateway.outbound.client import OutboundClient


@dataclass(frozen=True, slots=True)
class PushParts:
    """Where configurations are stored, how their URLs are checked and their secrets sealed, and who notes it."""

    destinations: Destinations
    client: OutboundClient
    sealing: Sealing
    audit: Audit


PUSH: AppKey[PushParts] = AppKey("PUSH")
"""Without it, there are no push notifications."""
