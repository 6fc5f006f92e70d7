"""Assembles what makes agent cards."""

from asya_gateway.composition.issuers import InvalidConfiguration
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.protocols.a2a.card_cache import Cards
from asya_gateway.protocols.a2a.signing import CardSigner, UnusableKey
from asya_gateway.settings import Mode, Settings


def agent_cards(flows: FlowRegistry, settings: Settings) -> Cards:
    """Raises InvalidConfiguration if cards cannot be signed as configured. A pod of mode mesh has none."""
    path = settings.a2a_signing_key_file
    if not path or settings.gateway_mode is Mode.MESH:
        return Cards(flows, settings, None)
    try:
        return Cards(flows, settings, CardSigner.from_file(path, settings.a2a_signing_key_id))
    except UnusableKey as error:
        raise InvalidConfiguration(f"ASYA_A2A_SIGNING_KEY_FILE: {error}") from None
