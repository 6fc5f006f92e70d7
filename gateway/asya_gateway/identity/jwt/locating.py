"""Where an issuer publishes its keys: at a URL of the settings, or at the one that its metadata names."""

from collections.abc import Awaitable, Callable

from asya_crds.jsontext import InvalidJSON, loads
from asya_gateway.identity.jwt.key_set import UnusableKeys
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient
from asya_gateway.outbound.permitting import Origin

Locate = Callable[[], Awaitable[str]]
"""The URL of the keys. Raises OutboundError, UnusableKeys."""

LIMITS = ExchangeLimits(seconds=5.0, bytes=256 * 1024)
_OPENID, _OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


def at(url: str) -> Locate:
    """Keys at a known URL."""

    async def known() -> str:
        return url

    return known


def of_issuer(client: OutboundClient, issuer: str, permission: Origin) -> Locate:
    """Keys that the issuer's metadata names (OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3)."""
    origin = f"{permission.scheme}://{issuer.partition('://')[2].partition('/')[0]}"
    path = issuer.removeprefix(origin).rstrip("/")
    documents = (f"{origin}{path}{_OPENID}", f"{origin}{_OAUTH}{path}")

    async def discovered() -> str:
        for url in documents:
            answer = await client.get(url, permission=permission, limits=LIMITS, headers={"Accept": "application/json"})
            if answer.status == 200:
                return _keys_in(answer.body, issuer)
        raise UnusableKeys(f"the issuer has no metadata at {' or '.join(documents)}")

    return discovered


def _keys_in(document: bytes, issuer: str) -> str:
    try:
        metadata = loads(document, max_depth=20)
    except InvalidJSON:
        metadata = None
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        # RFC 8414, section 3.3: "The issuer value returned MUST be identical".
        raise UnusableKeys("the metadata is not that of the issuer")
    url = metadata.get("jwks_uri")
    if not isinstance(url, str):
        raise UnusableKeys("the issuer's metadata names no jwks_uri")
    return url
