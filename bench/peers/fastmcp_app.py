"""FastMCP's own server with the tools that the gateway has in the benchmark: `fastmcp_app.py PORT`."""
# mypy: ignore-errors
# It runs in an environment of its own.

import sys

from fastmcp import FastMCP

TOOLS = 20

server: FastMCP = FastMCP("peer")


@server.tool
async def one(text: str, count: int) -> dict[str, object]:
    """Says what it hears."""
    return {"text": text, "count": count}


def _named(number: int) -> None:
    async def tool(text: str, count: int) -> dict[str, object]:
        """Says what it hears."""
        return {"text": text, "count": count}

    server.tool(tool, name=f"tool_{number:02d}")


for number in range(TOOLS - 1):
    _named(number)

if __name__ == "__main__":
    server.run(
        transport="http",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        stateless_http=True,
        show_banner=False,
        log_level="error",
        uvicorn_config={"access_log": False},
    )
