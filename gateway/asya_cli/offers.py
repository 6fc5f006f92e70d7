"""`asya mcp prompts`, `prompt`, `resources`, `read`: what flows offer over MCP besides tools."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from asya_cli.options import DEFAULT_URL, AsJson, Token, Url
from asya_cli.running import run_with_client

if TYPE_CHECKING:
    from asya_cli.client import GatewayClient


def list_prompts(url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """List the prompts of the gateway with their arguments."""
    from asya_cli.rendering import offers_table

    async def work(client: "GatewayClient") -> list[dict[str, Any]]:
        return await client.prompts()

    _print_list(run_with_client(url, token, work), as_json, lambda found: offers_table("PROMPT", found), "prompt")


def list_resources(url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """List the resources of the gateway. Also the templates of their URIs."""
    from asya_cli.rendering import offers_table

    async def work(client: "GatewayClient") -> list[dict[str, Any]]:
        return await client.resources()

    _print_list(run_with_client(url, token, work), as_json, lambda found: offers_table("URI", found), "resource")


def get_prompt(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Arguments, which are texts; KEY=@FILE reads a file."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Run the flow of a prompt: print its messages."""
    from asya_cli.arguments import read_arguments
    from asya_cli.rendering import print_json

    texts = {word.partition("=")[0]: {"type": "string"} for word in words or []}

    async def work(client: "GatewayClient") -> dict[str, Any]:
        return await client.prompt(name, read_arguments(words or [], None, {"properties": texts}))

    print_json(run_with_client(url, token, work)["messages"])


def read_resource(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The resource's URI.")],
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Read a resource: print its text, or its contents as JSON."""
    from asya_cli.rendering import print_json, print_result

    async def work(client: "GatewayClient") -> dict[str, Any]:
        return await client.read(uri)

    contents = run_with_client(url, token, work)["contents"]
    if len(contents) == 1 and "text" in contents[0]:
        print_result(contents[0]["text"])
    else:
        print_json(contents)


def _print_list(found: list[dict[str, Any]], as_json: bool, table: Any, kind: str) -> None:
    from asya_cli.rendering import err, out, print_json

    if as_json:
        print_json(found)
    elif found:
        out.print(table(found))
    else:
        err.print(f"no {kind}s: no flow of this gateway that you may see has `mcp.{kind}`", markup=False)
