"""`asya tool`: lists and calls tools."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from asya_cli.options import DEFAULT_URL, AsJson, Token, Url
from asya_cli.running import run_with_client

if TYPE_CHECKING:
    from asya_cli.client import GatewayClient
    from asya_crds.flows_json import FlowsJson

app = typer.Typer(help="List tools and call them.", no_args_is_help=True)

ToolName = Annotated[str, typer.Argument(metavar="NAME", help="The tool's name.")]


@app.command("list")
def list_tools(url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """List the tools of the gateway with their arguments."""
    from asya_cli.rendering import err, out, print_json, problem_text, tools_table

    async def work(client: "GatewayClient") -> "tuple[list[dict[str, Any]], FlowsJson]":
        return await client.tools(), await client.flows()

    tools, flows = run_with_client(url, token, work)
    problems, served = flows["problems"], {flow["name"] for flow in flows["flows"]}
    if as_json:
        print_json(tools)
        return
    if tools:
        out.print(tools_table(tools))
    elif not problems:
        err.print(f"no tools: {_why_none(flows)}", markup=False)
    for problem in problems:
        # A problem without a name means that the file cannot be read; its last valid flows are still served.
        name = problem.get("name")
        # Two entries may have one name. Then one of them is served, and the problem is the other's.
        what = f"{'another entry named ' if name in served else ''}{name} is not served" if name else None
        what = what or problem.get("source") or "flows"
        err.print(f"{what}: {problem_text(problem)}", style="red", markup=False, soft_wrap=True)


@app.command("show")
def show_tool(name: ToolName, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Show a tool as MCP clients see it, input schema included."""
    from asya_cli.rendering import print_json

    async def work(client: "GatewayClient") -> None:
        print_json(await find_tool(client, name))

    run_with_client(url, token, work)


@app.command("call")
def call_tool(
    name: ToolName,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Arguments, typed by the tool's input schema; KEY=@FILE reads a file."
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--json", metavar="JSON", help="Arguments as a JSON object; @FILE and @- work too.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the task's handle and return at once.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Call a tool: watch its progress, print its result.

    Exit codes: 0 succeeded, 1 failed or refused, 2 wrong command line, 3 no gateway, 4 the task waits for an answer.
    """
    from asya_cli.arguments import read_arguments
    from asya_cli.errors import ExitCode
    from asya_cli.rendering import print_json
    from asya_cli.watching import watch

    async def work(client: "GatewayClient") -> ExitCode:
        tool = await find_tool(client, name)
        handle = await client.call(name, read_arguments(words or [], text, tool["inputSchema"]))
        if no_wait:
            print_json(handle)
            return ExitCode.OK
        return await watch(client, handle["task_id"])

    raise typer.Exit(run_with_client(url, token, work))


NO_TOOL = "`tool: false`; look at `asya mcp prompts` and `asya mcp resources`"


def _why_none(flows: "FlowsJson") -> str:
    if any(flow["mcp"] for flow in flows["flows"]):
        return f"every `mcp` block that you may see says {NO_TOOL}"
    return "no flow of this gateway that you may see has an `mcp` block"


async def find_tool(client: "GatewayClient", name: str) -> dict[str, Any]:
    """The tool in MCP's form; raises CliError with similar names."""
    import difflib

    from asya_cli.errors import CliError

    tools = {tool["name"]: tool for tool in await client.tools()}
    if name in tools:
        return tools[name]
    served = {flow["name"]: flow for flow in (await client.flows())["flows"]}
    if name in served:
        why = NO_TOOL if served[name]["mcp"] else "no `mcp` block"
        raise CliError(f"{name} is a flow, but no tool: it has {why}")
    near = difflib.get_close_matches(name, tools, n=3) or sorted(tools)[:10]
    raise CliError(f"no tool {name!r}; there is {', '.join(near)}" if near else f"no tool {name!r}, nor any other")
