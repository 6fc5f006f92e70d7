"""Documents by which clients find the authorization server (RFC 8414) and learn what it protects (RFC 9728).

Every URL in them comes from settings, never from the Host of a request.
"""

from collections.abc import Sequence
from typing import Any

from asya_gateway.domain.identity.scopes import INVOKE_SCOPE, READ_SCOPE
from asya_gateway.domain.oauth.clients import GRANT_TYPES
from asya_gateway.domain.oauth.metadata import AUTH_METHODS
from asya_gateway.domain.oauth.pkce import METHOD
from asya_gateway.domain.oauth.resources import AUTHORIZE, METADATA, PATHS, TOKEN

SCOPES = [INVOKE_SCOPE, READ_SCOPE]
"""What an ordinary client asks for. Other scopes are named where they are missing."""
RESOURCE_PATH = "/.well-known/oauth-protected-resource"
SERVER_PATHS = (METADATA, "/.well-known/openid-configuration")
"""RFC 8414, section 3, and its alias for clients that look for OpenID Connect's document first (section 5)."""
REGISTER, REVOKE, CALLBACK, CONSENT = (f"/oauth/{name}" for name in ("register", "revoke", "callback", "consent"))


def server_document(issuer: str, *, documents: bool) -> dict[str, Any]:
    """RFC 8414, section 2. `documents`: whether clients may be described by metadata documents."""
    methods = list(AUTH_METHODS)
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "registration_endpoint": issuer + REGISTER,
        "revocation_endpoint": issuer + REVOKE,
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": [METHOD],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "client_id_metadata_document_supported": documents,
        "authorization_response_iss_parameter_supported": True,
    }


def resource_documents(origin: str, servers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The documents of RFC 9728, section 2, by the path at which each is found: one for the whole gateway, and one for
    each resource below it (section 3.1)."""
    return {RESOURCE_PATH + path: resource_document(origin + path, servers) for path in ("", *PATHS)}


def resource_document(resource: str, servers: Sequence[str]) -> dict[str, Any]:
    """RFC 9728, section 2."""
    return {
        "resource": resource,
        "authorization_servers": list(servers),
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
    }
