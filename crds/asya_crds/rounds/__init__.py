"""What a flow asks of its caller before it starts: `mcp.input` (MCP 2026-07-28, "Multi Round-Trip Requests")."""
