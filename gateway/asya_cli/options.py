"""Options that several commands share, and the bridge from a command to the coroutine that does its work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from asya_cli.client import GatewayClient

DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option("--url", envvar="ASYA_URL", metavar="URL", help="URL of the gateway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]

Result = TypeVar("Result")


PRINTED_ROUTES = ("/mcp", "/tools/call", "/openapi.json", "/health", "/health/ready", "/health/flows")
"""Routes whose URLs users copy from `asya dev` and the docs. Such a URL is accepted as the gateway's."""


def base_of(url: str) -> str:
    """The gateway's URL, from the URL of one of its routes."""
    url = url.rstrip("/")
    for route in sorted(PRINTED_ROUTES, key=len, reverse=True):
        if url.endswith(route):
            return url.removesuffix(route)
    return url


def run_with_client(url: str, work: "Callable[[GatewayClient], Awaitable[Result]]") -> Result:
    """Run a coroutine with a client of the gateway at `url`. Raises UsageProblem if that is not a URL."""
    from asya_cli.client import connect
    from asya_cli.errors import UsageProblem
    from asya_crds.setting_types import check_web_url

    try:
        check_web_url(url or "?")
    except ValueError:
        raise UsageProblem(f"--url or ASYA_URL: expected http://host:port or https://host, not {url!r}") from None

    async def main() -> Result:
        async with connect(base_of(url)) as client:
            return await work(client)

    return asyncio.run(main())
