"""Agent cards (specification 1.0, sections 4.4 and 8)."""

from tests.support.a2a import SKILLS, conforms
from tests.support.gateway import Gateway
from tests.support.mcp import serve_tools


async def test_the_card_lists_the_skills_for_readers_of_both_versions(gateway: Gateway) -> None:
    for path in ("/.well-known/agent-card.json", "/.well-known/agent.json"):
        status, card = await gateway.get(path)
        assert status == 200
        conforms(card, "AgentCard", "0.3")
        assert [skill["id"] for skill in card["skills"]] == ["echo", "numbers", "texts"]
        assert card["supportedInterfaces"][0]["url"] == card["url"] == f"{gateway.url}/a2a/"


async def test_whoever_names_the_version_gets_the_pure_card(gateway: Gateway) -> None:
    _, named = await gateway.get("/.well-known/agent-card.json", headers={"A2A-Version": "1.0"})
    _, pure = await gateway.get("/a2a/.well-known/agent-card.json")
    conforms(pure, "AgentCard")
    assert named == pure
    _, one = await gateway.get("/a2a/echo/.well-known/agent-card.json")
    conforms(one, "AgentCard")
    assert [skill["id"] for skill in one["skills"]] == ["echo"]
    assert one["supportedInterfaces"][0]["url"] == f"{gateway.url}/a2a/echo"


async def test_a_card_is_validated_by_its_tag_and_changes_with_the_registry(gateway: Gateway) -> None:
    """8.6.1: cards 'SHOULD include an ETag response header' and 'SHOULD include a Cache-Control response header'; a
    client that has the card gets 304."""
    async with gateway.session.get(gateway.url + "/.well-known/agent-card.json") as response:
        tag = response.headers["ETag"]
        assert response.headers["Vary"] == "A2A-Version"
        assert response.headers["Last-Modified"]
        assert "max-age=" in response.headers["Cache-Control"]
    headers = {"If-None-Match": tag}
    async with gateway.session.get(gateway.url + "/.well-known/agent-card.json", headers=headers) as response:
        assert response.status == 304
    serve_tools(gateway, SKILLS[:1], generation=2)
    async with gateway.session.get(gateway.url + "/.well-known/agent-card.json", headers=headers) as response:
        assert response.status == 200
        assert [skill["id"] for skill in (await response.json())["skills"]] == ["echo"]


async def test_without_a_skill_there_is_no_card_and_with_scoped_ones_alone_it_says_to_sign_in(gateway: Gateway) -> None:
    serve_tools(gateway, [{**SKILLS[0], "scopes": ["finance"]}], generation=2)
    _, card = await gateway.get("/.well-known/agent-card.json")
    assert [skill["id"] for skill in card["skills"]] == ["sign-in"]
    serve_tools(gateway, [SKILLS[3]], generation=3)
    assert (await gateway.get("/.well-known/agent-card.json"))[0] == 404
