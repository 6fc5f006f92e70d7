"""Tasks of the gateway as clients of MCP see them: the tasks extension of 2026-07-28, the experimental tasks of
2025-11-25, and tools for clients that have neither."""
