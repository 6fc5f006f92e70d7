"""The bridge from a command to the coroutine that does its work at a gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from asya_cli.options import gateway_of

if TYPE_CHECKING:
    from asya_cli.client import GatewayClient

Result = TypeVar("Result")


def run_with_client(url: str, token: str, work: "Callable[[GatewayClient], Awaitable[Result]]") -> Result:
    """Run a coroutine with a client of the gateway at `url`, as the caller of `token`, else of the login there. Raises
    CliError."""
    from asya_cli.bearers import given
    from asya_cli.client import connect
    from asya_cli.login.bearer import login_bearer

    gateway = gateway_of(url)
    bearer = given(token) if token.strip() else login_bearer(gateway)

    async def main() -> Result:
        async with connect(gateway, bearer) as client:
            return await work(client)

    return asyncio.run(main())
