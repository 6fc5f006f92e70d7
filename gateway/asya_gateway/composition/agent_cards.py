"""Assembles what makes agent cards."""

import contextlib
from collections.abc import AsyncGenerator

from asya_gateway.composition.issuers import InvalidConfiguration
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.mounted.watching import InvalidFile, WatchedFile
from asya_gateway.protocols.a2a.card_cache import Cards
from asya_gateway.protocols.a2a.signing import CardSigner, UnusableKey
from asya_gateway.settings import Mode, Settings


def agent_cards(flows: FlowRegistry, settings: Settings) -> Cards:
    """Raises InvalidConfiguration if cards cannot be signed as configured. A pod of mode mesh has none."""
    if not _signs(settings):
        return Cards(flows, settings, None)
    if not (settings.a2a_public_url or settings.public_url):
        raise InvalidConfiguration(
            "ASYA_A2A_SIGNING_KEY_FILE: expected ASYA_A2A_PUBLIC_URL or ASYA_PUBLIC_URL beside it, because a signature "
            "would vouch for whatever address a request names"
        )
    try:
        signer = CardSigner.from_file(settings.a2a_signing_key_file, settings.a2a_signing_key_id)
    except UnusableKey as error:
        raise InvalidConfiguration(f"ASYA_A2A_SIGNING_KEY_FILE: {error}") from None
    return Cards(flows, settings, signer)


@contextlib.asynccontextmanager
async def signing(cards: Cards, settings: Settings) -> AsyncGenerator[None]:
    """Sign with what the file of the key says while the block runs. While it is broken or away, the last key stays."""
    if not _signs(settings):
        yield
        return

    def signer_of(text: bytes) -> CardSigner:
        try:
            return CardSigner.from_pem(text, settings.a2a_signing_key_id)
        except UnusableKey as error:
            raise InvalidFile(str(error)) from None

    file = WatchedFile(
        "signing key of agent cards",
        settings.a2a_signing_key_file,
        signer_of,
        poll_interval=settings.config_poll_interval,
        on_change=cards.sign_with,
    )
    await file.start()
    try:
        yield
    finally:
        await file.stop()


def _signs(settings: Settings) -> bool:
    return bool(settings.a2a_signing_key_file) and settings.gateway_mode is not Mode.MESH
