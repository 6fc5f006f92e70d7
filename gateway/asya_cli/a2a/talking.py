"""A message to an agent and what follows it, and watching a task."""

import asyncio
import sys
import uuid
from contextlib import aclosing
from typing import Any

from asya_cli.a2a.cards import streams
from asya_cli.a2a.client import UNSUPPORTED_OPERATION, AgentClient, AgentError
from asya_cli.a2a.showing import Shown
from asya_cli.arguments import read_json
from asya_cli.errors import CliError, ExitCode, UsageProblem
from asya_cli.options import follow_up
from asya_cli.rendering import err, print_json
from asya_crds.naming import A2A_SKILL_EXTENSION

Json = dict[str, Any]

RECONNECTS = 10
"""How often in a row a stream that brings nothing new is opened again."""
POLL = 1.0
"""Seconds between two looks at a task of an agent that does not stream."""


def message_of(
    text: str | None, data: str | None, *, skill: str | None, task_id: str | None, context_id: str | None
) -> Json:
    """The params of a message. Raises UsageProblem if it says nothing."""
    parts: list[Json] = []
    if text is not None:
        parts.append({"text": sys.stdin.read() if text == "-" else text})
    if data is not None:
        parts.append({"data": read_json("--data", data)})
    if not parts:
        raise UsageProblem("expected TEXT or --data: what to say to the agent")
    ids = {"taskId": task_id, "contextId": context_id}
    message = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": parts}
    named = {"metadata": {"skill": skill, A2A_SKILL_EXTENSION: {"skillId": skill}}} if skill else {}
    return {"message": message | {name: value for name, value in ids.items() if value}, **named}


async def talk(client: AgentClient, params: Json, *, waits: bool, as_json: bool) -> ExitCode:
    """Send it, and show what comes: a stream's events if the agent streams, else the answer."""
    shown = Shown()
    if waits and not as_json and streams(await client.card()):
        return await _streamed(client, params, shown)
    answer = await client.send({**params, "configuration": {"returnImmediately": not waits}})
    shown.take(answer)
    if as_json:
        print_json(answer)
        return shown.exit_code
    return shown.end()


async def _streamed(client: AgentClient, params: Json, shown: Shown) -> ExitCode:
    try:
        async with aclosing(client.stream("SendStreamingMessage", params)) as events:
            async for event in events:
                shown.take(event)
                if shown.settled:
                    break
    except CliError as error:
        if error.code is not ExitCode.UNREACHABLE or not shown.task_id:
            raise
    except asyncio.CancelledError:
        _tell_going_on(shown.task_id)
        raise
    if not shown.told:
        raise CliError("the agent's stream ended before it said anything")
    if shown.settled:
        return shown.end()
    if not shown.task_id:
        raise CliError("the agent's stream ended before the answer, and named no task to ask for")
    err.print("connection lost, trying again", style="yellow")
    return await follow(client, shown.task_id, shown=shown)


async def show(client: AgentClient, task_id: str, *, as_json: bool) -> None:
    """Show a task as it is."""
    _print_task(await client.task(task_id), as_json=as_json)


async def cancel(client: AgentClient, task_id: str, *, as_json: bool) -> None:
    """End a task, and show it."""
    _print_task(await client.cancel(task_id), as_json=as_json)


def _print_task(task: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(task)
        return
    shown = Shown()
    shown.take({"task": task})
    shown.end()


async def listed(
    client: AgentClient, *, state: str | None, context_id: str | None, limit: int, cursor: str | None
) -> Json:
    """A page of the caller's tasks."""
    named = {"status": state and state_of(state), "contextId": context_id, "pageToken": cursor}
    params = {name: value for name, value in named.items() if value}
    # Of what each task was told and has made, a list shows nothing.
    return await client.tasks({**params, "pageSize": limit, "historyLength": 0})


def state_of(word: str) -> str:
    """A TaskState from its name, or from the word that 0.3 and people have for it."""
    return "TASK_STATE_" + word.upper().removeprefix("TASK_STATE_").replace("-", "_").replace(" ", "_")


async def follow(client: AgentClient, task_id: str, *, as_json: bool = False, shown: Shown | None = None) -> ExitCode:
    """Watch a task until it ends or asks. A stream that is cut is opened again; it begins with the task as it is."""
    shown = shown or Shown(as_json=as_json)
    try:
        await _followed(client, task_id, shown)
    except asyncio.CancelledError:
        _tell_going_on(task_id)
        raise
    return shown.end()


async def _followed(client: AgentClient, task_id: str, shown: Shown) -> None:
    subscribes = streams(await client.card())
    misses = 0
    while misses <= RECONNECTS:
        try:
            # Looked at first: there is no stream of a task that has ended.
            shown.take({"task": await client.task(task_id)})
            if shown.settled:
                return
            if subscribes:
                async with aclosing(client.stream("SubscribeToTask", {"id": task_id})) as events:
                    async for event in events:
                        misses = 0
                        shown.take(event)
                        if shown.settled:
                            return
            else:
                misses = 0
        except AgentError as error:
            if error.number != UNSUPPORTED_OPERATION:
                raise
            # It has ended in between, or has no streams after all.
            subscribes = False
        except CliError as error:
            if error.code is not ExitCode.UNREACHABLE:
                raise
            misses += 1
        await asyncio.sleep(POLL)
    again = follow_up("a2a", "watch", task_id)
    raise CliError(f"the connection to the agent was lost; to watch again: {again}", ExitCode.UNREACHABLE)


def _tell_going_on(task_id: str) -> None:
    if task_id:
        err.print(f"task {task_id} goes on: {follow_up('a2a', 'watch', task_id)}", soft_wrap=True)
