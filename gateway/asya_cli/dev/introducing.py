"""What `asya dev` says at its start: how to connect, and with `--auth` how to log in."""

import shlex
from typing import Any

from asya_cli.options import DEFAULT_URL
from asya_cli.schema_types import Kinds, kinds_of, properties_of
from asya_crds import jsontext

KEY_HEADER = '-H "Authorization: Bearer $ASYA_TOKEN" '


def connection_lines(url: str, tools: list[dict[str, Any]], *, skills: bool) -> list[str]:
    """How to connect: MCP clients, agents, the CLI, curl. `skills`: whether there are any for agents."""
    return [
        *_command_lines(url),
        f"MCP endpoint     {url}/mcp",
        f"Claude Code      claude mcp add --transport http asya {url}/mcp",
        f"Cursor, others   {_snippet(url)}",
        f"Goose            goose session --with-streamable-http-extension {url}/mcp",
        *_agent_lines(url, skills=skills),
        *_call_lines(url, tools),
    ]


def closed_lines(url: str, tools: list[dict[str, Any]], database_url: str, *, skills: bool, logins: bool) -> list[str]:
    """The same at a gateway that asks who calls. `logins`: whether it is its own authorization server."""
    key = f"$(ASYA_DATABASE_URL={shlex.quote(database_url)} asya auth key create me)"
    return [
        *_command_lines(url),
        f"MCP endpoint     {url}/mcp",
        f"Claude Code      claude mcp add --transport http asya {url}/mcp{'  # then /mcp logs in' if logins else ''}",
        f"Cursor, others   {_snippet(url)}",
        *_agent_lines(url, skills=skills),
        *(["log in           asya login"] if logins else []),
        f"a key            export ASYA_TOKEN={key}",
        *_call_lines(url, tools, KEY_HEADER),
        "mesh routes      answer programs of this machine only, and check no credential",
    ]


def _command_lines(url: str) -> list[str]:
    """What the commands below need in their shell, unless the gateway is where commands look for it."""
    return [] if url == DEFAULT_URL else [f"commands         export ASYA_URL={url}"]


def _agent_lines(url: str, *, skills: bool) -> list[str]:
    return [f"agent card       {url}/.well-known/agent-card.json"] if skills else []


def _call_lines(url: str, tools: list[dict[str, Any]], header: str = "") -> list[str]:
    """Calls of the first tool."""
    if not tools:
        return []
    tool = tools[0]
    arguments = example_arguments(tool["inputSchema"])
    words = " ".join(f"{key}={_word(value)}" for key, value in arguments.items())
    body = jsontext.spaced({"name": tool["name"], "arguments": arguments}, ascii_only=True)
    return [
        f"command line     asya tool call {tool['name']} {words}".rstrip(),
        # Not --json: curl knows it since 7.82, and Ubuntu 22.04 has 7.81.
        f"curl             curl -s {url}/tools/call {header}-H 'Prefer: wait=30' -H 'Content-Type: application/json'"
        f" -d {shlex.quote(body)}",
    ]


def _snippet(url: str) -> str:
    return jsontext.spaced({"mcpServers": {"asya": {"url": f"{url}/mcp"}}}, ascii_only=True)


def example_arguments(schema: dict[str, Any]) -> dict[str, Any]:
    """Example arguments of a tool: for each required property its first example, its default, or a guess."""
    properties = properties_of(schema)
    required = schema.get("required") or list(properties)[:1]
    return {key: _example(properties.get(key), kinds_of(schema, key)) for key in required}


def _example(part: Any, kinds: Kinds) -> Any:
    part = part if isinstance(part, dict) else {}
    if part.get("examples"):
        return part["examples"][0]
    if kinds.values:
        return kinds.values[0]
    if "default" in part:
        return part["default"]
    examples = {"string": "hello world", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return examples.get((kinds.names or ("string",))[0])


def _word(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else jsontext.spaced(value, ascii_only=True))
