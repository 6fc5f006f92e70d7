"""What the log says at the start about who may call."""

import logging
from typing import Any

import pytest

from tests.support.gateway import make_flows, start_gateway
from tests.support.oauth import oauth_settings

FLOWS = [
    {"name": "echo", "entrypoint": "a", "mcp": {}},
    {"name": "payroll", "entrypoint": "a", "mcp": {}, "scopes": ["finance"]},
]
IN_TESTING = "mode testing: mesh routes answer programs of this machine only"


async def told(database_url: str, caplog: pytest.LogCaptureFixture, **settings: Any) -> str:
    """What the log says of a gateway's doors."""
    async with start_gateway(database_url, **settings) as gateway:
        assert gateway.identifying is not None
        caplog.clear()
        with caplog.at_level(logging.INFO):
            gateway.identifying.tell(make_flows(FLOWS).table)
    return caplog.text


async def test_the_start_says_that_clients_cannot_find_an_issuer(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = {
        "a2a_jwt_jwks_url": "https://127.0.0.1:1/keys",
        "a2a_jwt_issuer": "https://issuer.example.com",
        "a2a_jwt_audience": "asya",
    }
    message = "ASYA_PUBLIC_URL is not set to an origin"
    assert message in await told(database_url, caplog, **issuer)
    assert message not in await told(database_url, caplog, **issuer, public_url="https://asya.example.com")
    assert message not in await told(database_url, caplog, auth="required")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ["callers are not authenticated"]),
        ({"auth": "required"}, [IN_TESTING]),
        ({"mcp_api_key": "x" * 15}, ["ASYA_MCP_API_KEY: shorter than 16 characters", IN_TESTING]),
        ({"mcp_api_key": "x" * 16}, [IN_TESTING]),
        ({"auth": "required", "a2a_jwt_alias": "corp"}, ["ASYA_A2A_JWT_ALIAS: no effect", IN_TESTING]),
        (
            {"auth": "required", "open_surfaces": ["a2a"]},
            ["ASYA_OPEN_SURFACES: callers without a credential may use a2a,", IN_TESTING],
        ),
        (oauth_settings(), ["OAuth without a login and with open registration", IN_TESTING]),
        (oauth_settings(mcp_oauth_registration_token="r" * 20), [IN_TESTING]),
    ],
    ids=["open", "keys", "short key", "long key", "alias alone", "reopened", "registration", "registration token"],
)
async def test_the_start_warns_of_each_open_door(
    database_url: str, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], said: list[str]
) -> None:
    async with start_gateway(database_url, **settings) as gateway:
        assert gateway.identifying is not None
        caplog.clear()
        gateway.identifying.tell(make_flows(FLOWS).table)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == len(said)
    assert all(warning.startswith(text) for warning, text in zip(warnings, said, strict=True))
    assert ("payroll" in warnings[0]) is (not settings), "scopes have no effect at an open gateway"
    assert not any("echo" in warning for warning in warnings)
