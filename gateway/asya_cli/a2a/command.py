"""`asya a2a`: an agent's card, messages to it, and its tasks."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asya_cli.options import DEFAULT_URL, AsJson, TaskId, Token, Url

if TYPE_CHECKING:
    from asya_cli.a2a.client import AgentClient

app = typer.Typer(
    help="Speak A2A with the gateway or another agent. `--url` is the agent's URL, or that of its card.",
    no_args_is_help=True,
)


@app.command("card")
def card(
    extended: Annotated[bool, typer.Option("--extended", help="The card for callers who have signed in.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show an agent's card: its interfaces, capabilities and skills."""
    from asya_cli.a2a.showing import print_card
    from asya_cli.rendering import print_json

    async def work(client: "AgentClient") -> dict[str, Any]:
        found = await client.card()
        return await client.extended_card() if extended else found

    (print_json if as_json else print_card)(_run(url, token, work))


@app.command("send")
def send(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What to say; - reads it from stdin.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="A part of data; @FILE and @- work too.")
    ] = None,
    skill: Annotated[
        str | None, typer.Option(metavar="NAME", help="The skill that the message is for, at a gateway of ours.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="ID", help="The task that asks.")] = None,
    context: Annotated[str | None, typer.Option("--context", metavar="ID", help="Go on with a conversation.")] = None,
    return_immediately: Annotated[bool, typer.Option("--return-immediately", help="Do not wait for the task.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer's JSON, in the form of A2A 1.0.")] = False,
) -> None:
    """Send a message, or answer a task's question. Shows what the agent says. Exit codes as `asya tool call`."""
    from asya_cli.a2a.talking import message_of, talk

    message = message_of(text, data, skill=skill, task_id=task, context_id=context)
    raise typer.Exit(
        _run(url, token, lambda client: talk(client, message, waits=not return_immediately, as_json=as_json))
    )


@app.command("watch")
def watch(
    task_id: TaskId,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
) -> None:
    """Watch a task until it ends or waits for an answer. Exit codes as `asya tool call`."""
    from asya_cli.a2a.talking import follow

    raise typer.Exit(_run(url, token, lambda client: follow(client, task_id, as_json=as_json)))


@app.command("get")
def get_task(task_id: TaskId, url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """Show a task as it is: its state, its question, what it has made."""
    from asya_cli.a2a.talking import show

    _run(url, token, lambda client: show(client, task_id, as_json=as_json))


@app.command("list")
def list_tasks(
    status: Annotated[str | None, typer.Option(metavar="STATE", help="Only tasks in this state: working, …")] = None,
    context: Annotated[str | None, typer.Option("--context", metavar="ID", help="Only those of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Cursor that the previous page printed.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List your tasks at an agent, the last changed first."""
    from asya_cli.a2a.showing import print_tasks
    from asya_cli.a2a.talking import listed
    from asya_cli.rendering import print_json

    page = _run(url, token, lambda client: listed(client, state=status, context_id=context, limit=limit, cursor=cursor))
    (print_json if as_json else print_tasks)(page)


@app.command("cancel")
def cancel_task(task_id: TaskId, url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """End a task."""
    from asya_cli.a2a.talking import cancel

    _run(url, token, lambda client: cancel(client, task_id, as_json=as_json))


def _run(url: str, token: str, work: "Callable[[AgentClient], Awaitable[Any]]") -> Any:
    """Run a coroutine with a client of the agent, as the caller of `token`, else of the login there."""
    import asyncio

    from asya_cli.a2a.client import connect_agent
    from asya_cli.bearers import given
    from asya_cli.login.bearer import login_bearer
    from asya_cli.options import gateway_of

    agent = gateway_of(url)
    bearer = given(token) if token.strip() else login_bearer(agent)

    async def main() -> Any:
        async with connect_agent(agent, bearer) as client:
            return await work(client)

    return asyncio.run(main())
