"""`x-mcp-header` in an inputSchema: an argument that clients repeat in an HTTP header.

MCP 2026-07-28, Streamable HTTP, "Custom Headers from Tool Parameters": legal only on integer, string and boolean
properties that are reached by a pure chain of `properties`, an RFC 9110 token, unique without regard to case. Clients
drop a tool that breaks these rules, so they are checked here.
"""

import re
from typing import Any

from asya_crds.schema_walk import BrokenSchema, Path, as_pointer, subschemas

WORD = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_TYPES = ("integer", "string", "boolean")


def check_headers(schema: dict[str, Any]) -> None:
    """Raises BrokenSchema naming the rule."""
    seen: dict[str, Path] = {}
    for path, part in subschemas(schema):
        if WORD not in part:
            continue
        name = part[WORD]
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise BrokenSchema(f"expected {WORD} to be a header name (RFC 9110 token) of at most 64 characters", path)
        if not _is_chain_of_properties(path):
            raise BrokenSchema(f"{WORD} is allowed only on properties reached through `properties` alone", path)
        if part.get("type") not in _TYPES:
            raise BrokenSchema(f"{WORD} needs type integer, string or boolean", path)
        if (other := seen.setdefault(name.lower(), path)) != path:
            raise BrokenSchema(f"{WORD} {name} is taken by {as_pointer(other)} (names do not differ by case)", path)


def _is_chain_of_properties(path: Path) -> bool:
    return len(path) >= 2 and len(path) % 2 == 0 and all(word == "properties" for word in path[::2])
