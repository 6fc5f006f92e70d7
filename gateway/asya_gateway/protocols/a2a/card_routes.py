"""Routes of the agent cards."""

from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from aiohttp import web

from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.identity.access import sees
from asya_gateway.domain.identity.principals import ANONYMOUS
from asya_gateway.protocols.a2a.cards import Security, card, card_text, etag
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.http.keys import FLOWS, SETTINGS
from asya_gateway.protocols.http.policies import PUBLIC, add_get
from asya_gateway.settings import Settings

Json = dict[str, Any]

WELL_KNOWN = ("/.well-known/agent-card.json", "/.well-known/agent.json")
PURE = "/a2a/.well-known/agent-card.json"
OF_FLOW = "/a2a/{skill:[^/.:]+}/.well-known/agent-card.json"
MOST_SKILLS = 2_000
MAX_AGE = 60
STARTED = formatdate(usegmt=True)


def register(app: web.Application) -> None:
    """Add the public cards."""
    for path in WELL_KNOWN:
        add_get(app, path, public_card, PUBLIC)
    add_get(app, PURE, pure_card, PUBLIC)
    add_get(app, OF_FLOW, pure_card, PUBLIC)


async def public_card(http: web.Request) -> web.Response:
    """Readers of 1.0 and of 0.3 both find what they look for; whoever names 1.0 gets the pure card of 1.0."""
    return _answer(http, pure=(http.headers.get("A2A-Version") or "").startswith("1"))


async def pure_card(http: web.Request) -> web.Response:
    """The card of 1.0, of the agent or of one flow."""
    return _answer(http, pure=True)


def _answer(http: web.Request, *, pure: bool) -> web.Response:
    skill = http.match_info.get("skill", "")
    flows, settings = http.app[FLOWS], http.app[SETTINGS]
    document = public(flows, settings, str(http.url.origin()), pure=pure, skill=skill)
    if document is None:
        what = "this is no skill" if skill else "no flow here has an a2a block"
        return web.Response(status=404, text=f"no agent card: {what}\n")
    text = card_text(document)
    headers = {
        "ETag": etag(text),
        "Last-Modified": STARTED,
        "Cache-Control": f"public, max-age={MAX_AGE}",
        "Vary": "A2A-Version",
        "Access-Control-Allow-Origin": "*",
    }
    if _unchanged(http, headers):
        return web.Response(status=304, headers=headers)
    return web.Response(body=text.encode(), content_type="application/json", headers=headers)


def _unchanged(http: web.BaseRequest, headers: dict[str, str]) -> bool:
    matched = http.headers.get("If-None-Match")
    if matched is not None:
        tags = {tag.strip().removeprefix("W/") for tag in matched.split(",")}
        return "*" in tags or headers["ETag"] in tags
    since = http.headers.get("If-Modified-Since")
    try:
        return since is not None and parsedate_to_datetime(since) >= parsedate_to_datetime(headers["Last-Modified"])
    except (TypeError, ValueError):
        return False


def public(flows: FlowRegistry, settings: Settings, origin: str, *, pure: bool, skill: str = "") -> Json | None:
    """The card that everybody may read: every skill without scopes of its own. None without a skill."""
    exposed = [served.flow for served in flows.table.flows.values() if served.flow.a2a is not None]
    if skill:
        exposed = [flow for flow in exposed if flow.name == skill and not flow.scopes]
    open_to_all = [flow for flow in exposed if not flow.scopes][:MOST_SKILLS]
    if not exposed:
        return None
    base_url = settings.a2a_public_url or settings.public_url or origin
    return card(settings, open_to_all, signs_in=not open_to_all, base_url=base_url, pure=pure, skill=skill)


def extended(request: A2aRequest) -> Json | None:
    """The card with what the caller may see; None at an open gateway, where nobody signs in."""
    if not Security.of(request.settings).newest or request.caller is ANONYMOUS:
        return None
    flows = [
        served.flow
        for served in request.flows.table.flows.values()
        if served.flow.a2a is not None and sees(request.caller, served.flow)
    ]
    origin = str(request.http.url.origin())
    base_url = request.settings.a2a_public_url or request.settings.public_url or origin
    return card(request.settings, flows[:MOST_SKILLS], signs_in=False, base_url=base_url, pure=request.dialect.newest)
