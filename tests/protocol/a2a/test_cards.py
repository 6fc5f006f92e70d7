"""Agent cards (specification 1.0, sections 4.4 and 8)."""

from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import KeySet

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_gateway.composition.agent_cards import agent_cards, signing
from asya_gateway.composition.issuers import InvalidConfiguration
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.protocols.a2a import card_cache
from asya_gateway.protocols.a2a.card_cache import CardName
from asya_gateway.protocols.a2a.cards import card
from asya_gateway.protocols.a2a.signing import CardSigner
from tests.support.a2a import SKILLS, conforms
from tests.support.gateway import Gateway, make_flows, make_settings, start_gateway
from tests.support.mcp import serve_tools
from tests.support.oauth import SECRET
from tests.support.waiting import until


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
    path = "/a2a/echo/.well-known/agent-card.json"
    conforms((await gateway.get(path))[1], "AgentCard", "0.3")
    _, one = await gateway.get(path, headers={"A2A-Version": "1.0"})
    conforms(one, "AgentCard")
    assert (await gateway.get(f"{path}?A2A-Version=1.0"))[1] == one
    assert [skill["id"] for skill in one["skills"]] == ["echo"]
    url = f"{gateway.url}/a2a/echo"
    assert [(each["protocolBinding"], each["protocolVersion"], each["url"]) for each in one["supportedInterfaces"]] == [
        ("JSONRPC", "1.0", url),
        ("HTTP+JSON", "1.0", url),
        ("JSONRPC", "0.3", url),
    ]
    # Clients put the paths of methods behind it.
    assert pure["supportedInterfaces"][1]["url"] == f"{gateway.url}/a2a"


@pytest.mark.parametrize("path", ["/a2a/", "/a2a/echo"])
async def test_where_messages_are_posted_nothing_is_read(gateway: Gateway, path: str) -> None:
    status, _ = await gateway.get(path)
    assert status == 405


async def test_a_card_is_validated_by_its_tag_and_changes_with_the_registry(gateway: Gateway) -> None:
    """8.6.1: cards 'SHOULD include an ETag response header' and 'SHOULD include a Cache-Control response header'; a
    client that has the card gets 304."""
    async with gateway.session.get(gateway.url + "/.well-known/agent-card.json") as response:
        tag = response.headers["ETag"]
        assert response.headers["Vary"] == "A2A-Version"
        assert "max-age=" in response.headers["Cache-Control"]
        assert response.headers["Last-Modified"] == "Wed, 04 Mar 2026 05:06:07 GMT"
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


async def test_a_card_is_made_once_for_each_generation(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    def counted(*values: Any, **names: Any) -> Any:
        made.append(True)
        return card(*values, **names)

    monkeypatch.setattr(card_cache, "card", counted)
    for _ in range(3):
        await gateway.get("/.well-known/agent-card.json")
    assert len(made) == 1
    serve_tools(gateway, SKILLS, generation=2)
    await gateway.get("/.well-known/agent-card.json")
    assert len(made) == 2


async def test_a_card_is_made_once_for_all_addresses_by_which_it_is_called(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a configured URL strangers choose the address, and as many as they like."""
    made: list[bool] = []

    def counted(*values: Any, **names: Any) -> Any:
        made.append(True)
        return card(*values, **names)

    monkeypatch.setattr(card_cache, "card", counted)
    tags = set()
    for number in range(100):
        host = f"127.0.0.{number}"
        path = gateway.url + "/.well-known/agent-card.json"
        async with gateway.session.get(path, headers={"Host": host}) as response:
            found = await response.json()
            tags.add(response.headers["ETag"])
        assert found["url"] == f"http://{host}/a2a/"
        assert {each["url"].rstrip("/") for each in found["supportedInterfaces"]} == {f"http://{host}/a2a"}
    assert (len(made), len(tags)) == (1, 100)


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:65536", "a:b", "[::1]:x"])
@pytest.mark.parametrize("allowed", [[], ["*"]], ids=["own", "any"])
async def test_a_card_is_refused_to_whoever_calls_no_host(database_url: str, allowed: list[str], host: str) -> None:
    """Addresses are hosts of this gateway, whatever their port, and some gateways serve every host."""
    async with start_gateway(database_url, allowed_hosts=allowed) as gateway:
        serve_tools(gateway, SKILLS)
        for path in ("/.well-known/agent-card.json", "/a2a/.well-known/agent-card.json"):
            async with gateway.session.get(gateway.url + path, headers={"Host": host}) as response:
                assert response.status in (400, 421), await response.text()


def test_cards_are_not_signed_for_an_address_that_a_request_chooses(tmp_path: Path) -> None:
    settings = make_settings(a2a_signing_key_file=str(tmp_path / "key.pem"))
    with pytest.raises(InvalidConfiguration, match=r"^ASYA_A2A_SIGNING_KEY_FILE: expected ASYA_A2A_PUBLIC_URL or"):
        agent_cards(make_flows(SKILLS), settings)


async def test_two_pods_send_the_same_tag_for_cards_that_they_sign(database_url: str, tmp_path: Path) -> None:
    """Signatures by ES256 are never the same twice (section 8.6.1)."""
    file = tmp_path / "key.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signed = {"a2a_signing_key_file": str(file), "a2a_public_url": "https://agent.example"}
    cards: list[dict[str, Any]] = []
    tags: list[str] = []
    for _ in range(2):
        async with start_gateway(database_url, **signed) as pod:
            serve_tools(pod, SKILLS)
            path = pod.url + "/.well-known/agent-card.json"
            async with pod.session.get(path) as response:
                tags.append(response.headers["ETag"])
                cards.append(await response.json())
            async with pod.session.get(path, headers={"If-None-Match": tags[0]}) as response:
                assert response.status == 304
            conforms((await pod.get("/a2a/.well-known/agent-card.json"))[1], "AgentCard")
            keys = KeySet.import_key_set(jsontext.loads((await pod.get("/a2a/.well-known/jwks.json"))[1]))
            signatures = cards[-1].pop("signatures")
            compact = "{protected}..{signature}".format(**signatures[0])
            jws.deserialize_compact(compact, keys, payload=rfc8785.dumps(cards[-1]), algorithms=["ES256"])
            cards[-1]["signature"] = signatures[0]["signature"]
    assert tags[0] == tags[1]
    assert tags[0].startswith("W/")
    assert cards[0] != cards[1]


async def test_a_key_file_that_changes_signs_from_then_on_and_the_key_before_stays_public(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"

    def written(content: bytes | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        file.write_bytes(content or key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    written()
    settings = make_settings(
        a2a_signing_key_file=str(file), a2a_public_url="https://agent.example", config_poll_interval=0.01
    )
    flows = make_flows(SKILLS)
    cards = agent_cards(flows, settings)

    def signed() -> tuple[str, list[str]]:
        """The tag of the card, whose signatures must be verifiable, and the names of the public keys."""
        ready = cards.public(CardName("https://agent.example", pure=True))
        assert ready is not None
        assert cards.key_set is not None
        card = jsontext.loads(ready.body.decode())
        signatures = card.pop("signatures")
        compact = "{protected}..{signature}".format(**signatures[0])
        first, *_ = cards.key_set["keys"]
        keys = KeySet.import_key_set({"keys": [first]})
        jws.deserialize_compact(compact, keys, payload=rfc8785.dumps(card), algorithms=["ES256"])
        return ready.tag, [key["kid"] for key in cards.key_set["keys"]]

    tag, kids = signed()
    async with signing(cards, settings):
        assert signed() == (tag, kids)
        written(b"no key")
        written()
        other = await until(lambda: signed()[1] != kids and signed(), what="the new key")
    assert (other[0] != tag, other[1][1:]) == (True, kids)
    for _ in range(4):
        cards.sign_with(CardSigner(ec.generate_private_key(ec.SECP256R1())))
    assert len(signed()[1]) == 3


async def test_a_card_says_who_the_agent_is_and_where_as_the_settings_say(database_url: str) -> None:
    named = {
        "a2a_name": "Office",
        "a2a_description": "Does what the office does.",
        "a2a_version": "7.1",
        "a2a_provider_org": "Example",
        "a2a_provider_url": "https://example.com",
    }
    one = {**named, "a2a_provider_url": "", "public_url": "https://asya.example/gateway/"}
    for changes, url in ((named, ""), (one, "https://asya.example/gateway/a2a/")):
        async with start_gateway(database_url, **changes) as gateway:
            serve_tools(gateway, SKILLS)
            for path in ("/.well-known/agent-card.json", "/a2a/.well-known/agent-card.json"):
                _, found = await gateway.get(path)
                assert (found["name"], found["version"]) == ("Office", "7.1")
                assert found["description"] == "Does what the office does."
                # It has both members or is left out.
                provider = {"organization": "Example", "url": "https://example.com"} if changes is named else None
                assert found.get("provider") == provider
                assert found["supportedInterfaces"][0]["url"] == (url or f"{gateway.url}/a2a/")


async def test_cards_without_a_key_are_not_signed(gateway: Gateway) -> None:
    assert "signatures" not in (await gateway.get("/.well-known/agent-card.json"))[1]
    assert (await gateway.get("/a2a/.well-known/jwks.json"))[0] == 404


def test_a_key_file_that_cannot_sign_ends_the_start_and_names_the_setting(tmp_path: Path) -> None:
    settings = make_settings(a2a_signing_key_file=str(tmp_path / "none.pem"), public_url="https://agent.example")
    with pytest.raises(InvalidConfiguration, match=r"^ASYA_A2A_SIGNING_KEY_FILE: .*none.pem: No such file"):
        agent_cards(FlowRegistry(), settings)


def test_our_own_authorization_server_is_a_scheme_in_both_forms() -> None:
    settings = make_settings(
        mcp_oauth_enabled=True, mcp_oauth_issuer="https://asya.example", mcp_oauth_secret=SECRET, auth="required"
    )
    flow = Flow.model_validate(SKILLS[0])
    pure = card(settings, [flow], signs_in=False, base_url="https://asya.example", pure=True)
    conforms(pure, "AgentCard")
    oauth = pure["securitySchemes"]["oauth2"]["oauth2SecurityScheme"]
    assert oauth["flows"]["authorizationCode"]["tokenUrl"] == "https://asya.example/oauth/token"
    merged = card(settings, [flow], signs_in=False, base_url="https://asya.example", pure=False)
    conforms(merged, "AgentCard", "0.3")
    assert {"oauth2": []} in merged["security"]
