"""Settings of authentication that were set and change nothing."""

from typing import Any

import pytest

from asya_gateway.settings.auth import AuthSettings

ISSUER = {"mcp_oauth_issuer": "https://asya.example.com", "mcp_oauth_secret": "s" * 32}
JWT = {
    "a2a_jwt_jwks_url": "https://i.example.com/keys",
    "a2a_jwt_issuer": "https://i.example.com",
    "a2a_jwt_audience": "a",
}


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({}, []),
        (ISSUER, ["ASYA_MCP_OAUTH_ISSUER", "ASYA_MCP_OAUTH_SECRET"]),
        ({**ISSUER, "auth": "required"}, ["ASYA_MCP_OAUTH_ISSUER", "ASYA_MCP_OAUTH_SECRET"]),
        ({**ISSUER, "mcp_oauth_enabled": True}, []),
        ({"mcp_oauth_token_ttl": "30m"}, ["ASYA_MCP_OAUTH_TOKEN_TTL"]),
        ({"mcp_oauth_token_ttl": "1h"}, []),
        ({"roles_file": "/config/roles.yaml"}, ["ASYA_ROLES_FILE"]),
        ({"roles_file": "/config/roles.yaml", "auth": "required"}, []),
        ({"open_surfaces": "a2a", "caller_claims": "email"}, ["ASYA_OPEN_SURFACES", "ASYA_CALLER_CLAIMS"]),
        ({"a2a_jwt_alias": "corp", "auth": "required"}, ["ASYA_A2A_JWT_ALIAS"]),
        ({"a2a_jwt_alias": "corp", **JWT}, []),
    ],
)
def test_a_setting_whose_switch_is_off_is_named(settings: dict[str, Any], idle: list[str]) -> None:
    assert AuthSettings(**settings).without_effect() == idle
