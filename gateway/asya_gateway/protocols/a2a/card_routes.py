"""Routes of the agent cards, and of the key that signs them."""

from aiohttp import web

from asya_gateway.domain.identity.principals import ANONYMOUS
from asya_gateway.protocols.a2a.card_cache import CARDS, KEY_SET, CardName, ReadyCard
from asya_gateway.protocols.a2a.cards import Json, Security, card_text
from asya_gateway.protocols.a2a.request import A2aRequest, version_of
from asya_gateway.protocols.http.errors import HostRefused
from asya_gateway.protocols.http.policies import PUBLIC, add_get

WELL_KNOWN = ("/.well-known/agent-card.json", "/.well-known/agent.json")
PURE = "/a2a/.well-known/agent-card.json"
OF_FLOW = "/a2a/{skill:[^/.:]+}/.well-known/agent-card.json"
MAX_AGE = 60
EXTENDED_HEADERS = {"Cache-Control": "private, no-store", "Vary": "Authorization, X-API-Key, A2A-Version"}
"""Of every answer with an extended card, which is the caller's own."""


def register(app: web.Application) -> None:
    """Add the public cards."""
    for path in WELL_KNOWN:
        add_get(app, path, public_card, PUBLIC)
    add_get(app, PURE, pure_card, PUBLIC)
    add_get(app, OF_FLOW, public_card, PUBLIC)
    add_get(app, KEY_SET, key_set, PUBLIC)


async def public_card(http: web.Request) -> web.Response:
    """Readers of 1.0 and of 0.3 both find what they look for; whoever names 1.0 gets the pure card of 1.0."""
    return _answer(http, pure=(version_of(http) or "").startswith("1"))


async def pure_card(http: web.Request) -> web.Response:
    """The card of 1.0."""
    return _answer(http, pure=True)


async def key_set(http: web.Request) -> web.Response:
    """The public keys with which cards are verified (RFC 7517)."""
    keys = http.app[CARDS].key_set
    if keys is None:
        return web.Response(status=404, text="cards are not signed here\n")
    headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "Access-Control-Allow-Origin": "*"}
    return web.Response(body=card_text(keys).encode(), content_type="application/jwk-set+json", headers=headers)


def _answer(http: web.Request, *, pure: bool) -> web.Response:
    skill, cards = http.match_info.get("skill", ""), http.app[CARDS]
    ready = cards.public(CardName(cards.base_url(_origin(http)), pure, skill))
    if ready is None:
        what = "this is no skill" if skill else "no flow here has an a2a block"
        return web.Response(status=404, text=f"no agent card: {what}\n")
    headers = {
        "ETag": ready.tag,
        "Cache-Control": f"public, max-age={MAX_AGE}",
        "Vary": "A2A-Version",
        "Access-Control-Allow-Origin": "*",
    }
    if ready.changed is not None:
        headers["Last-Modified"] = ready.changed
    if _has_it(http, ready):
        return web.Response(status=304, headers=headers)
    return web.Response(body=ready.body, content_type="application/json", headers=headers)


def _origin(http: web.BaseRequest) -> str:
    """What the client called. Raises HostRefused for a Host that is none, also where every host is allowed."""
    try:
        return str(http.url.origin())
    except ValueError:
        raise HostRefused("expected a host name or an address, with or without a port", field="Host") from None


def _has_it(http: web.BaseRequest, ready: ReadyCard) -> bool:
    """Whether the client has this card, by its tag. A date alone does not tell: it is the registry's, and settings
    change cards, too."""
    tags = {tag.strip().removeprefix("W/") for tag in http.headers.get("If-None-Match", "").split(",")}
    return "*" in tags or ready.tag.removeprefix("W/") in tags


def extended(request: A2aRequest, skill: str) -> Json | None:
    """The card with what the caller may see, of this skill if one is named; None for one that it does not see, and at
    an open gateway, where nobody signs in."""
    if not Security.of(request.settings).newest or request.caller is ANONYMOUS:
        return None
    cards = request.http.app[CARDS]
    base_url = cards.base_url(_origin(request.http))
    return cards.extended(request.caller, CardName(base_url, request.dialect.newest, skill))
