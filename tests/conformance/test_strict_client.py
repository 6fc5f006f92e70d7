"""oauth4webapi as a client: it refuses metadata, redirects and token answers that their RFCs do not allow."""

import json

import pytest

from tests.conformance.deployment import Deployment
from tests.conformance.tools import Node

pytestmark = pytest.mark.timeout(400)


async def test_a_strict_client_finds_nothing_to_refuse(deployment: Deployment, node: Node) -> None:
    """RFC 6749, 7009, 7591, 7636, 8414, 8707, 9207 and 9728, with each way to authenticate a client."""
    made = await deployment.client_made_by_an_operator("Strict", "--secret")
    options = {"url": deployment.url, "other": deployment.other}
    options |= {"id": made["client_id"], "secret": made["client_secret"]}
    seen = (await node.run("strict_client.mjs", json.dumps(options))).answer
    well = {"scope": "mcp:invoke mcp:read", "rotated": True, "statuses": [200, 200], "after": "invalid_grant"}
    for method in ("none", "client_secret_basic", "client_secret_post"):
        assert seen[method] == well, method
    assert seen["refused"] == {
        "verifier": "invalid_grant",
        "resource": "invalid_target",
        "response type": "unsupported_response_type",
        "plain": "invalid_request",
        "token": "invalid_token",
    }
    assert seen["itself"] == [[200, False], [200, False]]
    assert seen["stranger"] == "invalid_client"
