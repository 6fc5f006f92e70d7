"""Large results of tools as a preview and a link: resources/read then delivers them in full, to their owner only.

It is off unless ASYA_MCP_LINK_RESULTS_ABOVE says from which size on. A tool with an outputSchema that the client was
shown always answers whole, since its structured result must be there; so does content that the flow itself made, which
is meant to be shown.
"""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.mcp.content import tool_result
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.task_resources import media_type_of, result_uri
from asya_gateway.protocols.mcp.tool_results import succeeded_meta, text_block

PREVIEW = 2000
"""Characters of the result's beginning."""


def is_linked(context: RequestContext, text: JsonText) -> bool:
    """Whether this result goes out as a link: it is larger than the setting allows, and plain."""
    largest = context.settings.mcp_link_results_above
    if not largest or not context.revision.structured or len(text) <= largest // 4:
        return False
    return len(text.encode("utf-8", "surrogatepass")) > largest and tool_result(text, context.revision) is None


def linked(task_id: str, text: JsonText) -> Result:
    """The preview and the link (ResourceLink, since 2025-06-18). `size` is of what resources/read delivers, in
    bytes."""
    shown, size = _shown(text)
    preview = f"The result is large ({size} bytes). It begins:\n{shown}\nRead the whole of it at {result_uri(task_id)}"
    link: dict[str, Any] = {
        "type": "resource_link",
        "uri": result_uri(task_id),
        "name": "task_result",
        "title": "The whole result",
        "mimeType": media_type_of(text),
        "size": size,
    }
    return Result({"content": [text_block(preview), link], "isError": False, "_meta": succeeded_meta(task_id)})


def _shown(text: JsonText) -> tuple[str, int]:
    """The beginning of what the resource is, and its size."""
    whole: str = jsontext.loads(text) if text.startswith('"') else text
    return whole[:PREVIEW], len(whole.encode("utf-8", "surrogatepass"))
