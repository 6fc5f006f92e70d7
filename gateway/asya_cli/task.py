"""`asya task`: reading, watching, canceling, answering and retrying tasks."""

from typing import TYPE_CHECKING, Annotated

import typer

from asya_cli.options import DEFAULT_URL, AsJson, TaskId, Token, Url
from asya_cli.running import run_with_client

if TYPE_CHECKING:
    from asya_cli.client import GatewayClient
    from asya_cli.errors import ExitCode
    from asya_crds.call_messages import AnswerJson, RetryJson

app = typer.Typer(help="Read, watch, cancel, answer and retry tasks.", no_args_is_help=True)


@app.command("get")
def get_task(task_id: TaskId, url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False) -> None:
    """Show one task: status, route, result, error."""
    from asya_cli.rendering import print_json, print_task

    task = run_with_client(url, token, lambda client: client.task(task_id))
    (print_json if as_json else print_task)(task)


@app.command("list")
def list_tasks(
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only tasks in this status.")] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME", help="Only tasks of this flow.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="ID", help="Only children of this task.")] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="Tasks of somebody else, such as key:ci; needs task:FLOW:read.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Tasks of everybody whom your scopes reach, as for approvers.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Cursor that the previous page printed.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List your tasks, newest first.

    An approver finds what waits with --all --status paused.
    """
    from asya_cli.errors import UsageProblem
    from asya_cli.rendering import err, out, print_json, tasks_table

    if everybody and owner is not None:
        raise UsageProblem("expected either --owner or --all")
    filters = {
        "status": status,
        "flow": flow,
        "parent_id": parent,
        "owner": "*" if everybody else owner,
        "limit": limit,
        "cursor": cursor,
    }
    page = run_with_client(url, token, lambda client: client.tasks(**filters))
    if as_json:
        print_json(page)
        return
    if page["tasks"]:
        out.print(tasks_table(page["tasks"]))
    elif not page.get("next_cursor"):
        err.print("no tasks")
    else:
        err.print("no such task among the newest ones")
    if page.get("next_cursor"):
        err.print(f"more: --cursor {page['next_cursor']}", style="dim")


@app.command("watch")
def watch_task(task_id: TaskId, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Watch a task until it ends or waits for an answer. Exit codes as `asya tool call`."""
    from asya_cli.watching import watch

    raise typer.Exit(run_with_client(url, token, lambda client: watch(client, task_id)))


@app.command("cancel")
def cancel_task(
    task_id: TaskId,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it becomes the task's message.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """End a task and its children."""
    from asya_cli.rendering import err

    task = run_with_client(url, token, lambda client: client.cancel(task_id, reason))
    err.print(f"task {task['id']} is {task['status']}", markup=False)


@app.command("answer")
def answer_task(
    task_id: TaskId,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="The answer, typed by the question's schema; KEY=@FILE reads a file."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--json", metavar="JSON", help="The answer as a JSON object; @FILE and @- work too.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--input", metavar="KEY", help="Which of several inputs is answered.")
    ] = None,
    decline: Annotated[bool, typer.Option("--decline", help="Refuse to answer.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Dismiss the question without a choice.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the task.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Answer the question that a task waits on, and watch it go on. Exit codes as `asya tool call`."""
    from asya_cli.errors import CliError, ExitCode, UsageProblem
    from asya_cli.questions import addressed, answer_of
    from asya_cli.rendering import tell_declined
    from asya_cli.watching import watch
    from asya_crds.answers import AnswerAction

    if decline + cancel + bool(words or text is not None) > 1:
        raise UsageProblem("expected one of an answer, --decline and --cancel")

    async def work(client: "GatewayClient") -> "ExitCode":
        task = await client.task(task_id)
        pause = task.get("pause")
        if not pause:
            raise CliError(f"task {task_id} does not wait for an answer; its status is {task['status']}")
        if decline or cancel:
            body: AnswerJson = {
                **addressed(pause, key),
                "action": AnswerAction.DECLINE if decline else AnswerAction.CANCEL,
            }
        else:
            body = answer_of(pause, words or [], text, key=key)
        answered = await client.answer(task_id, body)
        if decline or cancel:
            tell_declined(answered, body)
        return ExitCode.OK if no_wait else await watch(client, task_id)

    raise typer.Exit(run_with_client(url, token, work))


@app.command("retry")
def retry_task(
    task_id: TaskId,
    payload: Annotated[
        str | None,
        typer.Option("--payload", metavar="JSON", help="Payload to use instead of the task's; @FILE and @- work too."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the new task's id and do not wait for it.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Run a task that has ended again, as a new task, and watch it. Exit codes as `asya tool call`."""
    from asya_cli.arguments import read_json
    from asya_cli.errors import ExitCode
    from asya_cli.rendering import err, print_line
    from asya_cli.watching import watch

    body: RetryJson = {} if payload is None else {"payload": read_json("--payload", payload)}

    async def work(client: "GatewayClient") -> "ExitCode":
        task = await client.retry(task_id, body)
        if no_wait:
            print_line(str(task["id"]))
            return ExitCode.OK
        err.print(f"task {task['id']} repeats {task_id}", markup=False)
        return await watch(client, task["id"])

    raise typer.Exit(run_with_client(url, token, work))
