"""The official clients of A2A live their whole life with the gateway."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from asya_gateway.protocols.a2a.card_cache import CardName, Cards
from asya_gateway.protocols.a2a.signing import CardSigner
from servers.databases import Databases, run_apart
from servers.ports import free_port
from tests.conformance import tools
from tests.conformance.tools import run
from tests.protocol.mcp.fixture.deployment import Deployment
from tests.support.a2a import SKILLS
from tests.support.gateway import make_flows, make_settings
from tests.support.oauth import SECRET

pytestmark = pytest.mark.timeout(400)

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "protocol" / "a2a" / "fixture"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, databases: Databases, template_database: str) -> Iterator[str]:
    """Where its card is."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path_factory.mktemp("key") / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    port = free_port()
    with databases.one(template_database) as url:
        made = Deployment(
            tmp_path_factory.mktemp("agent"),
            url,
            ports=[port],
            fixture=FIXTURE,
            A2A_SIGNING_KEY_FILE=str(file),
            A2A_PUBLIC_URL=f"http://127.0.0.1:{port}",
            OUTBOUND_ALLOW="127.0.0.1",
        )
        try:
            run_apart(made.start)
            yield made.urls[0]
        finally:
            made.end()
            print(made.logs())


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_the_client_of_1_0(agent: str, binding: str) -> None:
    program = str(HERE / "python" / "a2a_1_client.py")
    seen = (await run(tools.a2a(1), program, json.dumps({"url": agent, "binding": binding}))).answer
    assert seen["verified"] is True
    assert (seen["completed"], seen["data"]) == ("TASK_STATE_COMPLETED", True)
    assert (seen["failed"], seen["rejected"]) == ("TASK_STATE_FAILED", "TASK_STATE_REJECTED")
    assert seen["parts"] == ["text", "url", "data"]
    assert (seen["events"][0], seen["events"][-2:]) == ("task", ["artifact_update", "status_update"])
    assert seen["text"] == "one two three"
    assert (seen["asked"], seen["greeted"], seen["history"]) == ("TASK_STATE_INPUT_REQUIRED", "Hello, Ann!", 2)
    assert seen["first"] == "task"
    assert {seen["canceled"], seen["last"], seen["got"]} == {"TASK_STATE_CANCELED"}
    assert seen["pushed"][-3:] == ["TASK_STATE_WORKING", "artifact_update", "TASK_STATE_COMPLETED"]
    assert seen["headers"] == ["application/a2a+json", "Bearer s3cret", "t0ken"]
    assert seen["config"] == [True, "", "", 1]
    assert (seen["newest"], seen["listed"], seen["artifacts"]) == (True, True, True)
    assert "nobody" in seen["unknown"]


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_the_client_of_0_3(agent: str, binding: str) -> None:
    program = str(HERE / "python" / "a2a_0_client.py")
    seen = (await run(tools.a2a(0), program, json.dumps({"url": agent, "binding": binding}))).answer
    assert seen["skills"] == ["behave"]
    assert (seen["complete"], seen["fail"], seen["reject"]) == ("completed", "failed", "rejected")
    assert seen["parts"] == ["text", "file", "data"]
    assert (seen["streamed"], seen["events"] >= 4) == ("completed", True)
    assert (seen["asked"], seen["greeted"]) == ("input-required", "Hello, Ann!")
    assert {seen["canceled"], seen["got"]} == {"canceled"}
    assert seen["config"] == [True, True]
    assert (seen["pushed"][-1], seen["pushed_artifact"]) == ("completed", "Hello, Ann!")
    assert seen["headers"] == ["t0ken", "Bearer s3cret"]
    assert seen["resubscribed"] is True


@pytest.mark.parametrize(
    "closed",
    [{}, {"auth": "required"}, {"mcp_oauth_enabled": True, "mcp_oauth_issuer": "https://asya.example"}],
    ids=["open", "keys", "oauth"],
)
async def test_the_sdk_verifies_every_form_of_a_card(tmp_path: Path, closed: dict[str, Any]) -> None:
    """The Python SDK reads the pure card and the merged one as protobuf (section 8.4.3)."""
    secret = {"mcp_oauth_secret": SECRET} if "mcp_oauth_enabled" in closed else {}
    signer = CardSigner(ec.generate_private_key(ec.SECP256R1()))
    cards = Cards(make_flows(SKILLS), make_settings(**closed, **secret, public_url="https://asya.example"), signer)
    made = [cards.public(CardName("https://asya.example", pure)) for pure in (True, False)]
    file = tmp_path / "cards.json"
    served = [json.loads(each.body) for each in made if each]
    file.write_text(json.dumps({"keys": {"keys": [signer.public_key]}, "cards": served}))
    program = str(HERE / "python" / "a2a_1_verifier.py")
    assert (await run(tools.a2a(1), program, str(file))).answer == [[True, False], [True, False]]


@pytest.mark.parametrize(("version", "binding"), [("1.0", "JSONRPC"), ("1.0", "HTTP+JSON"), ("0.3", "JSONRPC")])
async def test_the_client_for_javascript(agent: str, version: str, binding: str) -> None:
    options = {"url": agent, "version": version, "binding": binding, "hook": free_port()}
    seen = (await tools.node().run("a2a_client.mjs", json.dumps(options))).answer
    assert (seen["interfaces"], seen["skills"], seen["version"]) == (1, ["behave"], version)
    ends = [seen[word] for word in ("complete", "fail", "reject")]
    assert ends == ["TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_REJECTED"]
    assert seen["parts"] == ["text", "url", "data"]
    assert (seen["events"], seen["streamed"]) == (["task", "artifactUpdate", "statusUpdate"], "one two three")
    assert seen["asked"] == "TASK_STATE_INPUT_REQUIRED"
    assert seen["greeted"] == ["TASK_STATE_COMPLETED", "Hello, Ann!"]
    assert seen["first"] == "task"
    assert {seen["canceled"], seen["last"], seen["got"]} == {"TASK_STATE_CANCELED"}
    # This client says itself that 0.3 has no such method.
    assert seen["listed"] == (True if version == "1.0" else "Method not found: tasks/list")
    assert (seen["stored"], seen["configs"], seen["tokens"]) == (["mine", True], 1, ["s3cret"])
    assert seen["gone"] == "TaskNotFoundError"
