"""A flow's result as the messages of a prompt.

Nothing of HTTP is imported, because the other process renders results of many values.
"""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.mcp.content import is_block
from asya_gateway.protocols.mcp.content_members import cleaned
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tool_results import succeeded_meta, text_block
from asya_gateway.protocols.mcp.versions import Revision

_MEMBERS = frozenset({"messages", "description", "_meta"})
_ROLES = ("user", "assistant")


def prompt_result(text: JsonText, task_id: str, revision: str) -> JsonText:
    """The text of a GetPromptResult.

    A result `{messages, description?, _meta?}` is taken as it is, where a message's content may also be a text. Content
    blocks (`{content: […]}` or a list of them) become a user's messages, one each. Anything else is the text of one.
    """
    known = Revision(revision)
    value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    fields = _whole(value, known) or {"messages": _messages(value, text, known)}
    fields["_meta"] = {**fields.get("_meta", {}), **succeeded_meta(task_id)}
    return Result(fields).text(known)


def _whole(value: Any, revision: Revision) -> dict[str, Any] | None:
    """The members of the GetPromptResult that the flow returned; None if it is none of this revision."""
    if not isinstance(value, dict) or not _MEMBERS.issuperset(value) or not isinstance(value.get("messages"), list):
        return None
    if not isinstance(value.get("description", ""), str) or not isinstance(value.get("_meta", {}), dict):
        return None
    messages = [_message(each, revision) for each in value["messages"]]
    if not messages or None in messages:
        return None
    return {**value, "messages": messages}


def _message(value: Any, revision: Revision) -> dict[str, Any] | None:
    if not isinstance(value, dict) or value.keys() != {"role", "content"} or value["role"] not in _ROLES:
        return None
    content = cleaned(value["content"])
    if isinstance(content, str):
        return {"role": value["role"], "content": text_block(content)}
    return {"role": value["role"], "content": content} if is_block(content, revision) else None


def _messages(value: Any, text: JsonText, revision: Revision) -> list[dict[str, Any]]:
    """The messages of a result that is no GetPromptResult."""
    blocks = value.get("content") if isinstance(value, dict) else value
    if isinstance(blocks, list) and blocks:
        blocks = [cleaned(block) for block in blocks]
        if all(is_block(block, revision) for block in blocks):
            return [_of_user(block) for block in blocks]
        messages = [_message(each, revision) for each in blocks]
        if all(messages):
            return [each for each in messages if each is not None]
    return [_of_user(text_block(value if isinstance(value, str) else text))]


def _of_user(block: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": block}
