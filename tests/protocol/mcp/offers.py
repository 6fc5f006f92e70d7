"""Flows that are prompts and resources, for the tests beside this file."""

from typing import Any

ICON = {"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}
GREETING: dict[str, Any] = {
    "name": "greeting",
    "description": "Greets somebody.",
    "entrypoint": "first",
    "mcp": {
        "tool": False,
        "title": "Greeting",
        "icons": [ICON],
        "_meta": {"com.example/group": "social"},
        "prompt": {
            "arguments": [
                {"name": "who", "description": "Whom", "title": "Who", "required": True},
                {"name": "language", "enum": ["english", "estonian", "german"]},
            ]
        },
    },
}
DERIVED: dict[str, Any] = {
    "name": "derived",
    "description": "Has the arguments of its schema.",
    "entrypoint": "first",
    "mcp": {
        "inputSchema": {
            "type": "object",
            "properties": {
                "count": {"type": "integer", "description": "How often"},
                "loud": {"type": "boolean"},
                "size": {"enum": ["small", "large", 7]},
            },
            "required": ["count"],
        },
        "prompt": {"name": "derived_prompt", "title": "Derived"},
    },
}
HANDBOOK: dict[str, Any] = {
    "name": "handbook",
    "description": "The handbook.",
    "entrypoint": "first",
    "mcp": {
        "tool": False,
        "title": "Handbook",
        "icons": [ICON],
        "_meta": {"com.example/group": "docs"},
        "resource": {
            "uri": "docs://handbook",
            "mimeType": "text/markdown",
            "size": 4096,
            "annotations": {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-01T00:00:00Z"},
        },
    },
}
CUSTOMER: dict[str, Any] = {
    "name": "customer",
    "description": "A customer's record.",
    "entrypoint": "first",
    "mcp": {
        "tool": False,
        "inputSchema": {
            "type": "object",
            "properties": {"region": {"enum": ["eu", "us"]}, "id": {"type": "integer"}},
            "additionalProperties": False,
        },
        "resource": {"uriTemplate": "crm://{region}/customers/{id}", "name": "customers", "title": "Customers"},
    },
}
OFFERS = [GREETING, DERIVED, HANDBOOK, CUSTOMER]
