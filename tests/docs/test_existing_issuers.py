"""docs/how-to/authentication.md, "An existing issuer": its roles give tokens of each provider their rights."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asya_cli.bearers import given
from asya_cli.client import connect
from asya_cli.errors import CliError
from tests.support.gateway import start_gateway
from tests.support.issuers import AUDIENCE, URL, document, key_for, token
from tests.support.web import Web, http, web

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "authentication.md").read_text()
ROLES = re.findall(r"```yaml\n(roles:\n.*?)```", PAGE, re.DOTALL)[-1]


@pytest.fixture
async def issuer() -> AsyncIterator[Web]:
    async with web(http(document(key_for("RS256")))) as made:
        yield made


@pytest.mark.parametrize(
    ("alias", "claims"),
    [
        (
            "staff",
            {"realm_access": {"roles": ["asya-user", "offline_access"]}, "typ": "Bearer", "scope": "email"},
        ),
        ("entra", {"roles": ["Asya.User"], "ver": "2.0", "tid": "t"}),
        ("auth0", {"permissions": ["use:asya"], "gty": "client-credentials"}),
    ],
)
async def test_a_token_of_each_provider_may_call_and_one_without_the_role_may_not(
    alias: str, claims: dict[str, Any], issuer: Web, database_url: str, tmp_path: Path
) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text(ROLES)
    settings = {
        "a2a_jwt_jwks_url": f"{issuer.url}/keys",
        "a2a_jwt_issuer": URL,
        "a2a_jwt_audience": AUDIENCE,
        "a2a_jwt_alias": alias,
        "roles_file": str(roles),
    }
    async with start_gateway(database_url, **settings) as gateway:
        async with connect(gateway.url, given(token("RS256", **claims))) as client:
            await client.call("anything", {})
        owner = await gateway.running.storage.database.fetchval("SELECT owner FROM tasks")
        assert owner == f"jwt:{alias}:alice"
        async with connect(gateway.url, given(token("RS256"))) as client:
            with pytest.raises(CliError, match="you hold none"):
                await client.call("anything", {})
