"""MCP over Streamable HTTP, in both its eras (specification 2025-11-25 and 2026-07-28)."""
