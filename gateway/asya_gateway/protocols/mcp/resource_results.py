"""A flow's result as the contents of a resource.

Nothing of HTTP is imported, because the other process renders results of many values.
"""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.mcp.content_members import OF_CONTENTS, cleaned, fit, is_base64
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tool_results import succeeded_meta
from asya_gateway.protocols.mcp.versions import Revision

_MEMBERS = frozenset({"contents", "_meta"})
_CONTENT = frozenset({"uri", "mimeType", "text", "blob", "_meta"})
TEXT, JSON = "text/plain", "application/json"

Content = dict[str, Any]


def resource_result(text: JsonText, uri: str, media_type: str | None, task_id: str, revision: str) -> JsonText | None:
    """The text of a ReadResourceResult; None for null and for `{contents: []}`, by which a flow says that there is no
    such resource (SEP-2164: an empty array must not be sent for one that does not exist).

    A result `{contents: […]}`, or one content by itself (`{text | blob, uri?, mimeType?, _meta?}`), is taken as it
    is; so are content blocks (`{content: […]}`). A text is a content, anything else its JSON. What is left out is
    added: `uri` as it was asked for, the resource's media type."""
    known = Revision(revision)
    value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    if value is None or value == {"contents": []}:
        return None
    contents = _contents(value, text)
    meta = value.get("_meta") if isinstance(value, dict) and "contents" in value else None
    fields = {
        "contents": [_completed(content, uri, media_type, known) for content in contents],
        "_meta": {**(meta if isinstance(meta, dict) else {}), **succeeded_meta(task_id)},
    }
    return Result(fields, cacheable=True).text(known)


def _contents(value: Any, text: JsonText) -> list[Content]:
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, dict):
        given = value.get("contents")
        listed = [cleaned(each) for each in given] if isinstance(given, list) else []
        if _MEMBERS.issuperset(value) and listed and all(map(_is_content, listed)):
            return listed
        if _is_content(value := cleaned(value)):
            return [value]
        blocks = value.get("content")
        if isinstance(blocks, list) and blocks:
            found = [_of_block(cleaned(block)) for block in blocks]
            if all(found):
                return [content for content in found if content is not None]
    return [{"text": text, "mimeType": JSON}]


def _is_content(value: Any) -> bool:
    if not isinstance(value, dict) or not _CONTENT.issuperset(value) or ("text" in value) == ("blob" in value):
        return False
    texts = (value.get(member, "") for member in ("uri", "text", "blob"))
    return fit(value, OF_CONTENTS) and all(isinstance(each, str) for each in texts) and is_base64(value.get("blob", ""))


def _of_block(block: Any) -> Content | None:
    """A content block as a content: a text, the data of an image or audio, an embedded resource."""
    match block:
        case {"type": "text", "text": str(text)}:
            return {"text": text}
        case {"type": "image" | "audio", "data": str(data), "mimeType": str(media_type)} if is_base64(data):
            return {"blob": data, "mimeType": media_type}
        case {"type": "resource", "resource": dict(resource)} if _is_content(resource):
            return resource
        case _:
            return None


def _completed(content: Content, uri: str, media_type: str | None, revision: Revision) -> Content:
    found = {"uri": uri, **content}
    if "mimeType" not in found:
        found["mimeType"] = media_type or (TEXT if "text" in found else "application/octet-stream")
    if not revision.structured:
        # `_meta` of contents came with 2025-06-18.
        found.pop("_meta", None)
    return found
