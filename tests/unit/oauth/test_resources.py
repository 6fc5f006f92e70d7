"""What tokens can be issued for: the gateway, some of its paths, and each tool set."""

import pytest

from asya_gateway.domain.oauth.errors import InvalidTarget
from asya_gateway.domain.oauth.resources import Resources
from asya_gateway.protocols.http.policies import opens

ORIGIN = "https://gateway.example"


@pytest.mark.parametrize(
    ("resource", "audience", "path"),
    [
        (f"{ORIGIN}/mcp/sales", f"{ORIGIN}/mcp/sales", "/mcp/sales"),
        ("HTTPS://Gateway.Example/mcp/sales/", f"{ORIGIN}/mcp/sales", "/mcp/sales"),
        (f"{ORIGIN}/mcp/Sales", f"{ORIGIN}/mcp/Sales", "/mcp/Sales"),
        (f"{ORIGIN}/mcp/sse", f"{ORIGIN}/mcp/sse", "/mcp/sse"),
    ],
)
def test_a_tool_set_is_a_resource_of_its_own(resource: str, audience: str, path: str) -> None:
    """RFC 8707, section 2: the most specific URI that the client can name."""
    resources = Resources(ORIGIN)
    assert resources.canonical(resource) == audience
    assert resources.knows(audience)
    assert resources.path(audience) == path


@pytest.mark.parametrize(
    "resource",
    [
        f"{ORIGIN}/mcp/sales/more",
        f"{ORIGIN}/mcp/messages",
        f"{ORIGIN}/mcp/agents",
        f"{ORIGIN}/mcp/a b",
        f"{ORIGIN}/mcp/-",
        f"{ORIGIN}/mcp//",
        f"{ORIGIN}/mcp/{'x' * 65}",
        f"{ORIGIN}/tools/sales",
        "https://other.example/mcp/sales",
        f"{ORIGIN}.other/mcp/sales",
    ],
)
def test_what_is_no_set_is_no_resource(resource: str) -> None:
    with pytest.raises(InvalidTarget):
        Resources(ORIGIN).canonical(resource)
    assert not Resources(ORIGIN).knows(resource)


def test_a_grant_for_mcp_can_be_narrowed_to_a_set_and_none_widened() -> None:
    resources = Resources(ORIGIN)
    assert resources.narrowed(f"{ORIGIN}/mcp", f"{ORIGIN}/mcp/sales") == f"{ORIGIN}/mcp/sales"
    for wider in (f"{ORIGIN}/mcp", ORIGIN, f"{ORIGIN}/mcp/more"):
        with pytest.raises(InvalidTarget):
            resources.narrowed(f"{ORIGIN}/mcp/sales", wider)


def test_a_token_opens_its_own_path_and_all_below() -> None:
    assert opens("/mcp", "/mcp/sales")
    assert opens("/mcp/sales", "/mcp/sales")
    assert opens(None, "/mcp/sales")
    assert not opens("/mcp/sales", "/mcp")
    assert not opens("/mcp/sales", "/mcp/sales2")
    assert not opens("/a2a", "/mcp/sales")
