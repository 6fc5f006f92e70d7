"""Sampling requests and their results (client/sampling), as each revision has them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.content import is_block
from asya_gateway.protocols.mcp.content_members import cleaned
from asya_gateway.protocols.mcp.versions import Revision

Check = Callable[[Any], bool]

ROLES = ("user", "assistant")
_CONTEXTS = ("none", "thisServer", "allServers")
_TOOLS = ("tools", "toolChoice")
_NOT_PASSED = frozenset({"task", "_meta"})
"""Members that speak of the request itself, which is the gateway's."""


class NotSampling(ValueError):
    """The revision has no such request or result. The text names the member and what was expected."""


def sampling_params(params: Mapping[str, Any], revision: Revision, client: ClientCapabilities) -> dict[str, Any]:
    """The parameters unchanged but for null members of content, if the revision has them and the client has declared
    what they need. Raises NotSampling."""
    checks = {**_MEMBERS, **(_OF_TOOLS if revision >= Revision.NOVEMBER_2025 else {})}
    for name, value in params.items():
        if name in _TOOLS and name not in checks:
            raise NotSampling(f"{name}: not in revision {revision}")
        if name in checks and not checks[name](value):
            raise NotSampling(f"{name}: not as revision {revision} has it")
    messages = [{**message, "content": _cleaned(message["content"])} for message in params["messages"]]
    for number, message in enumerate(messages):
        _check_content(message["content"], revision, f"messages[{number}].content")
    _check_turns(messages)
    if any(name in params for name in _TOOLS) and not client.sampling_tools:
        raise NotSampling("tools: the client has not declared sampling.tools")
    kept = {name: value for name, value in params.items() if name not in _NOT_PASSED} | {"messages": messages}
    if revision >= Revision.NOVEMBER_2025 and not client.sampling_context:
        # Deprecated; only for clients that have declared it (2025-11-25, "includeContext").
        kept.pop("includeContext", None)
    return kept


def sampled(value: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """The members of a CreateMessageResult. Raises NotSampling."""
    if value.get("role") not in ROLES:
        raise NotSampling("role: expected user or assistant")
    if not isinstance(value.get("model"), str):
        raise NotSampling("model: expected a string")
    if not isinstance(value.get("stopReason", ""), str):
        raise NotSampling("stopReason: expected a string")
    if "content" not in value:
        raise NotSampling("content: expected a content block")
    value = {**value, "content": _cleaned(value["content"])}
    _check_content(value["content"], revision, "content")
    return {name: value[name] for name in ("role", "content", "model", "stopReason") if name in value}


def _cleaned(content: Any) -> Any:
    return [cleaned(block) for block in content] if isinstance(content, list) else cleaned(content)


def _check_content(content: Any, revision: Revision, where: str) -> None:
    several = isinstance(content, list)
    if several and revision < Revision.NOVEMBER_2025:
        raise NotSampling(f"{where}: expected one content block")
    for block in content if several else [content]:
        if not _is_block(block, revision):
            raise NotSampling(f"{where}: expected a content block of revision {revision}")


def _check_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each use of a tool is followed by its result, and results stand alone (2025-11-25, client/sampling, "Tool Result
    Messages", "Tool Use and Result Balance"): models refuse other conversations. Raises NotSampling."""
    used: set[str] = set()
    for number, message in enumerate([*messages, {"content": []}]):
        content = message["content"]
        blocks = content if isinstance(content, list) else [content]
        results = [block for block in blocks if block["type"] == "tool_result"]
        uses = [block for block in blocks if block["type"] == "tool_use"]
        if {block["toolUseId"] for block in results} != used:
            raise NotSampling(f"messages[{number}]: expected the result of each tool that was used before it")
        if results and (len(results) < len(blocks) or message["role"] != "user"):
            raise NotSampling(f"messages[{number}]: expected results of tools in a user's message of their own")
        if uses and message["role"] != "assistant":
            raise NotSampling(f"messages[{number}]: expected uses of tools in an assistant's message")
        used = {block["id"] for block in uses}


def _is_block(block: Any, revision: Revision) -> bool:
    kind = block.get("type") if isinstance(block, Mapping) else None
    if kind in ("text", "image", "audio"):
        return is_block(block, revision)
    if revision < Revision.NOVEMBER_2025 or not isinstance(block, Mapping):
        return False
    if kind == "tool_use":
        return all(isinstance(block.get(name), str) for name in ("id", "name")) and _is_object(block.get("input"))
    if kind == "tool_result":
        parts = block.get("content")
        return (
            isinstance(block.get("toolUseId"), str)
            and isinstance(parts, list)
            and all(is_block(part, revision) for part in parts)
            and isinstance(block.get("isError", False), bool)
        )
    return False


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _prefers(value: Any) -> bool:
    """ModelPreferences."""
    if not _is_object(value):
        return False
    hints = value.get("hints", [])
    shares = ("costPriority", "speedPriority", "intelligencePriority")
    return (
        isinstance(hints, list)
        and all(_is_object(hint) and _is_text(hint.get("name", "")) for hint in hints)
        and all(_is_share(value[name]) for name in shares if name in value)
    )


def _are_tools(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_object(tool)
        and _is_text(tool.get("name"))
        and _is_object(schema := tool.get("inputSchema"))
        and schema.get("type") == "object"
        for tool in value
    )


def _chooses(value: Any) -> bool:
    return _is_object(value) and value.get("mode", "auto") in ("auto", "none", "required")


_MEMBERS: dict[str, Check] = {
    "systemPrompt": _is_text,
    "temperature": _is_number,
    "stopSequences": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "includeContext": lambda value: value in _CONTEXTS,
    "modelPreferences": _prefers,
    "metadata": _is_object,
}
_OF_TOOLS: dict[str, Check] = {"tools": _are_tools, "toolChoice": _chooses}
