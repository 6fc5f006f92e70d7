"""Flows that return MCP content: results that already are CallToolResults.

An object with a list `content` of valid content blocks, and no member unknown to CallToolResult, is passed on
unchanged but for optional members that are null, so a flow can return images, audio, embedded resources and `isError`.
Anything else is plain data, so that data with an unrelated member `content` stays intact.
"""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.mcp.content_members import OF_BLOCK, OF_CONTENTS, OF_LINK, cleaned, fit, is_base64
from asya_gateway.protocols.mcp.versions import Revision

MEMBERS = frozenset({"content", "structuredContent", "isError", "_meta"})

_REQUIRED: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("uri", "name"),
}
"""Required members of each block type, all of them strings. Embedded resources have a separate rule."""
_ENCODED = frozenset({"image", "audio"})
"""Types whose data is base64."""


def tool_result(text: JsonText, revision: Revision) -> dict[str, Any] | None:
    """The members of the CallToolResult that the flow returned, if this revision can carry it; else None."""
    if not text.startswith("{") or '"content"' not in text:
        return None
    value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    if not isinstance(value, dict) or not MEMBERS.issuperset(value):
        return None
    blocks = value.get("content")
    if not isinstance(blocks, list) or not blocks:
        return None
    value = {**cleaned(value), "content": [cleaned(block) for block in blocks]}
    if not all(is_block(block, revision) for block in value["content"]):
        return None
    if not isinstance(value.get("isError", False), bool) or not isinstance(value.get("_meta", {}), dict):
        return None
    return _for_revision(value, revision)


def is_block(block: Any, revision: Revision) -> bool:
    """Whether this is a content block of a type that the revision knows."""
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(kind, str) or kind not in revision.content_types:
        return False
    if not fit(block, OF_LINK if kind == "resource_link" else OF_BLOCK):
        return False
    if kind == "resource":
        return _is_embedded(block.get("resource"))
    return all(isinstance(block.get(member), str) for member in _REQUIRED[kind]) and (
        kind not in _ENCODED or is_base64(block["data"])
    )


def _is_embedded(resource: Any) -> bool:
    if not isinstance(resource, Mapping) or not isinstance(resource.get("uri"), str) or not fit(resource, OF_CONTENTS):
        return False
    blob = resource.get("blob")
    return isinstance(resource.get("text"), str) or (isinstance(blob, str) and is_base64(blob))


def _for_revision(value: dict[str, Any], revision: Revision) -> dict[str, Any]:
    structured = value.get("structuredContent")
    if "structuredContent" not in value or (
        revision.structured and (revision.any_structured or isinstance(structured, dict))
    ):
        return {"isError": False, **value}
    rest = {member: item for member, item in value.items() if member != "structuredContent"}
    if revision.structured and structured is not None:
        rest["structuredContent"] = {"result": structured}
    return {"isError": False, **rest}
