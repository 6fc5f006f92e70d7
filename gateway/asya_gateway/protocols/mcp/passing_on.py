"""What a flow's author writes for clients, as far as a revision has it: title, icons and `_meta`."""

from typing import Any

from asya_crds.flow import McpExposure
from asya_gateway.protocols.mcp.versions import Revision


def passed_on(exposure: McpExposure, revision: Revision, title: str | None = None) -> dict[str, Any]:
    """Members of a tool, prompt, resource or template. `title` is its own, else the flow's is shown. Titles and `_meta`
    came with 2025-06-18, icons with 2025-11-25."""
    found: dict[str, Any] = {}
    if revision.structured:
        if title or exposure.title:
            found["title"] = title or exposure.title
        if exposure.meta is not None:
            found["_meta"] = exposure.meta
    if revision.icons and exposure.icons:
        found["icons"] = [icon.model_dump(by_alias=True, exclude_none=True) for icon in exposure.icons]
    return found
