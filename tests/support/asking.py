"""Flows that ask for inputs before they start, and a client of MCP 2026-07-28 that answers."""

from collections.abc import Mapping
from typing import Any

from tests.support.gateway import Gateway
from tests.support.mcp import conforms, post, stateless_body, stateless_headers

NAME_FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CONFIRM_FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
USER_NAME = {"elicitation": {"message": "What is your name?", "requestedSchema": NAME_FORM}}
GREETING = {
    "sampling": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Greet ${who}"}}],
        "maxTokens": 50,
        "systemPrompt": "Be kind to ${who}.",
    }
}
SIGN_IN = {"elicitation": {"message": "Sign in", "url": "https://a.example/in?who=${who}"}}
WHO = {"type": "object", "properties": {"who": {"type": "string"}}, "additionalProperties": False}


def asking(name: str, *rounds: Mapping[str, Any], **mcp: Any) -> dict[str, Any]:
    return {"name": name, "entrypoint": "first", "mcp": {"inputSchema": WHO, "input": list(rounds), **mcp}}


TOOLS = [
    asking("name", {"user_name": USER_NAME}),
    asking("several", {"user_name": USER_NAME, "greeting": GREETING, "folders": {"roots": {}}}),
    asking(
        "delete",
        {"user_name": USER_NAME},
        {
            "confirm": {
                "elicitation": {
                    "message": "Delete ${who}, ${input.user_name.content.name}?",
                    "requestedSchema": CONFIRM_FORM,
                }
            }
        },
    ),
    asking("waits", {"user_name": {**USER_NAME, "onDecline": "wait"}}),
    asking("continues", {"user_name": {**USER_NAME, "onDecline": "continue"}}),
    asking("opens", {"login": SIGN_IN}),
    asking("needs-sampling", {"greeting": GREETING}),
    asking("elsewhere", {"user_name": USER_NAME}, inputKey="answers"),
]
EVERYTHING: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}

ALICE = {"action": "accept", "content": {"name": "Alice"}}
CONFIRMED = {"action": "accept", "content": {"ok": True}}
SAID = {"role": "assistant", "content": {"type": "text", "text": "Hello"}, "model": "m", "stopReason": "endTurn"}
LISTED = {"roots": [{"uri": "file:///home/alice", "name": "Home"}]}


async def ask_tool(
    gateway: Gateway,
    name: str,
    arguments: Any = None,
    *,
    capabilities: Any = EVERYTHING,
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> tuple[int, Any]:
    """A tools/call of a client with these capabilities; `params` are inputResponses and requestState."""
    meta = {"io.modelcontextprotocol/clientCapabilities": capabilities}
    body = stateless_body("tools/call", {"name": name, "arguments": arguments or {}, **params, "_meta": meta})
    return await post(gateway, body, {**stateless_headers(body), **(headers or {})})


async def asked(gateway: Gateway, name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """The result that asks for more."""
    status, answer = await ask_tool(gateway, name, arguments, **more)
    assert status == 200, answer
    result: dict[str, Any] = answer["result"]
    assert result["resultType"] == "input_required", result
    conforms(result, "InputRequiredResult")
    return result
