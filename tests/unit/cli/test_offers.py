"""`asya mcp prompts`, `prompt`, `resources`, `read`, and what is said of flows that are no tools."""

import json
from typing import Any

from asya_cli.client import _header_value
from tests.support.answers import answering
from tests.unit.cli.test_going_on import asya


def asked(*words: str, result: Any) -> tuple[str, dict[str, Any]]:
    """What is printed, and the last request."""
    seen: list[tuple[str, Any]] = []
    with answering({"/mcp": {"result": result}}, seen) as url:
        done = asya("mcp", *words, "--url", url)
    assert done.returncode == 0, done.stderr
    return done.stdout, seen[-1][1]


def test_prompts_are_listed_with_their_arguments() -> None:
    arguments = [{"name": "code", "required": True}, {"name": "language", "required": False}]
    prompts = [{"name": "review", "description": "Reviews", "arguments": arguments}]
    printed, _ = asked("prompts", result={"prompts": prompts})
    assert printed.split() == ["PROMPT", "ARGUMENTS", "DESCRIPTION", "review", "code=", "[language=]", "Reviews"]


def test_arguments_of_prompts_are_texts() -> None:
    messages = [{"role": "user", "content": {"type": "text", "text": "Review"}}]
    printed, request = asked("prompt", "review", "count=7", result={"messages": messages})
    assert json.loads(printed) == messages
    assert (request["method"], request["params"]["name"]) == ("prompts/get", "review")
    assert request["params"]["arguments"] == {"count": "7"}


def test_a_text_is_printed_as_it_is_and_anything_else_as_json() -> None:
    printed, request = asked("read", "docs://ä", result={"contents": [{"uri": "docs://ä", "text": "Hello"}]})
    assert (printed, request["params"]["uri"]) == ("Hello\n", "docs://ä")
    contents = [{"uri": "docs://a", "blob": "AA=="}]
    assert json.loads(asked("read", "docs://a", result={"contents": contents})[0]) == contents


def test_a_flow_that_is_no_tool_says_what_it_is() -> None:
    flows = [{"name": "review", "actors": ["a"], "mcp": True}, {"name": "step", "actors": ["a"], "mcp": False}]
    answers = {"/mcp": {"result": {"tools": []}}, "/health/flows": {"flows": flows, "problems": []}}
    with answering(answers) as url:
        listed, called, hidden = (
            asya("tool", *words, "--url", url).stderr for words in (["list"], ["call", "review"], ["show", "step"])
        )
    assert "every `mcp` block that you may see says `tool: false`; look at `asya mcp prompts`" in listed
    assert called.startswith("error: review is a flow, but no tool: it has `tool: false`; look at `asya mcp prompts`")
    assert hidden == "error: step is a flow, but no tool: it has no `mcp` block\n"


def test_names_that_a_header_cannot_have_are_encoded() -> None:
    """MCP 2026-07-28, streamable HTTP, "Value Encoding"."""
    assert _header_value("docs://a b") == "docs://a b"
    assert [_header_value(each) for each in ("ä", " a", "=?x")] == [
        "=?base64?w6Q=?=",
        "=?base64?IGE=?=",
        "=?base64?PT94?=",
    ]
