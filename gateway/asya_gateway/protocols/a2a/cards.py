"""Agent cards: what the agent is, where it is reached, and which skills it has (section 4.4 and 8)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_gateway.domain.identity.scopes import INVOKE_SCOPE, READ_SCOPE
from asya_gateway.domain.oauth.resources import AUTHORIZE, METADATA, TOKEN
from asya_gateway.protocols.a2a.extensions import extensions
from asya_gateway.settings import Settings

Json = dict[str, Any]

MODES = ["text/plain", "application/json"]
ENDPOINT = "/a2a/"
SIGN_IN = "sign-in"


@dataclass(frozen=True, slots=True)
class Security:
    """The ways to authenticate, by name, in both forms; empty at an open gateway."""

    newest: Json
    older: Json

    @classmethod
    def of(cls, settings: Settings) -> "Security":
        """What the settings configure."""
        newest: Json = {}
        older: Json = {}
        if not settings.closed:
            return cls(newest, older)
        newest["apiKey"] = {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}}
        older["apiKey"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        if settings.mcp_oauth_enabled:
            scheme = _oauth2(settings.mcp_oauth_issuer)
            newest["oauth2"], older["oauth2"] = {"oauth2SecurityScheme": scheme}, {"type": "oauth2", **scheme}
        newest["bearer"] = {"httpAuthSecurityScheme": {"scheme": "bearer"}}
        older["bearer"] = {"type": "http", "scheme": "bearer"}
        return cls(newest, older)


def _oauth2(issuer: str) -> Json:
    """Our own authorization server, whose metadata says that it requires PKCE. (`pkceRequired` would be lost by the
    Python SDK when it reads the merged card, and the signature with it.)"""
    issuer = issuer.rstrip("/")
    scopes = {READ_SCOPE: "See flows and tasks", INVOKE_SCOPE: "Call flows"}
    flow = {"authorizationUrl": issuer + AUTHORIZE, "tokenUrl": issuer + TOKEN, "scopes": scopes}
    return {"flows": {"authorizationCode": flow}, "oauth2MetadataUrl": issuer + METADATA}


def card(
    settings: Settings, flows: Sequence[Flow], *, signs_in: bool, base_url: str, pure: bool, skill: str = ""
) -> Json:
    """The card with these skills. `pure`: only members of 1.0, else those of 0.3 beside them. `signs_in`: there are
    skills only for callers who sign in. `skill`: the card of one flow."""
    url = f"{base_url}{ENDPOINT}{skill}"
    security = Security.of(settings)
    skills = [_skill(flow) for flow in flows] or ([_sign_in()] if signs_in else [])
    found: Json = {
        "name": flows[0].name if skill and flows else settings.a2a_name,
        "description": (flows[0].description if skill and flows else "") or settings.a2a_description,
        "version": settings.a2a_version or version("asya"),
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": url.rstrip("/"), "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
        ],
        "capabilities": {
            "streaming": settings.a2a_streaming,
            "pushNotifications": settings.a2a_push,
            "extendedAgentCard": bool(security.newest),
            "extensions": [each.declaration() for each in extensions(settings)],
        },
        "defaultInputModes": MODES,
        "defaultOutputModes": MODES,
        "skills": skills,
    }
    if settings.a2a_provider_org and settings.a2a_provider_url:
        found["provider"] = {"organization": settings.a2a_provider_org, "url": settings.a2a_provider_url}
    if security.newest:
        found["securitySchemes"] = security.newest
        found["securityRequirements"] = [{"schemes": {name: {"list": []}}} for name in security.newest]
    return found if pure else {**found, **_of_0_3(found, url, security)}


def _of_0_3(found: Json, url: str, security: Security) -> Json:
    """Members that readers of 0.3 need. The two forms of a security scheme are merged, since each reader looks for its
    own members."""
    more: Json = {
        "url": url,
        "preferredTransport": "JSONRPC",
        "additionalInterfaces": [
            {"url": url, "transport": "JSONRPC"},
            {"url": url.rstrip("/"), "transport": "HTTP+JSON"},
        ],
        "protocolVersion": "0.3.0",
        "supportsAuthenticatedExtendedCard": found["capabilities"]["extendedAgentCard"],
    }
    if security.older:
        names = security.newest
        more["securitySchemes"] = {name: {**security.older[name], **names[name]} for name in names}
        more["security"] = [{name: []} for name in names]
    return more


def _skill(flow: Flow) -> Json:
    exposure = flow.a2a
    assert exposure is not None  # skills only
    title = flow.mcp.title if flow.mcp is not None and flow.mcp.title else flow.name
    found: Json = {
        "id": flow.name,
        "name": title,
        "description": flow.description.strip() or f"Runs the flow {flow.name}.",
        "tags": list(exposure.tags) or ["asya"],
        "inputModes": list(exposure.input_modes),
        "outputModes": list(exposure.output_modes),
    }
    return {**found, **({"examples": list(exposure.examples)} if exposure.examples else {})}


def _sign_in() -> Json:
    return {
        "id": SIGN_IN,
        "name": "Sign in",
        "description": "The skills of this agent are shown to callers who have signed in.",
        "tags": ["asya"],
    }


def etag(text: str) -> str:
    """A validator of a card's content, equal on all replicas."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def card_text(document: Json) -> str:
    """The card as it is sent."""
    return jsontext.dumps(document)
