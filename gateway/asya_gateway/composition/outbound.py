"""The process's one client for other systems' URLs."""

from asya_gateway.outbound.client import OutboundClient
from asya_gateway.outbound.permitting import Allowed
from asya_gateway.settings import Settings


def outbound_client(settings: Settings) -> OutboundClient:
    """A client under the rules that the settings give."""
    return OutboundClient(Allowed.of(settings.outbound_allow), proxy=settings.outbound_proxy)
