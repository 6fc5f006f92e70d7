"""Waits that end whatever happens to the work that is waited for.

`asyncio.timeout` cancels the code in its block and then waits for it. That is enough for code that ends when it is
cancelled. Drivers do not always: aiormq loses a cancellation that arrives in the turn of the event loop in which the
channel closes, and asyncpg waits for a frozen server before it lets a cancellation through. With the functions here
the work has a task of its own, so that neither time limits nor cancellations of the caller depend on it.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")
Work = asyncio.Future[Any]

_left: set[Work] = set()
"""Work that nobody waits for any more. The event loop itself keeps no reference to its tasks."""


async def ended(work: Work, seconds: float | None = None) -> bool:
    """Whether the work ended within so many seconds. Otherwise, and if the caller is cancelled, the work is cancelled
    and left to end by itself. Never raises what the work raises."""
    try:
        await asyncio.wait({work}, timeout=seconds)
    except asyncio.CancelledError:
        leave(work)
        raise
    if not work.done():
        leave(work)
        return False
    return True


async def in_time(work: Coroutine[Any, Any, None], seconds: float, name: str) -> bool:
    """The same for work that becomes a task of this name. Raises what the work raises in time."""
    task = asyncio.create_task(work, name=name)
    if not await ended(task, seconds):
        return False
    task.result()
    return True


async def shielded(work: "asyncio.Future[Result]") -> Result:
    """The result of work that goes on if the caller is cancelled. What it raises then is dropped; asyncio.shield alone
    would have the event loop complain that nobody has looked at it."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        keep(work)
        raise


async def stopped(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> set[asyncio.Task[Any]]:
    """Cancel these tasks and wait for their ends; returns those that have not ended after so many seconds."""
    waiting = set(tasks)
    for task in waiting:
        leave(task)
    if not waiting:
        return set()
    _, late = await asyncio.wait(waiting, timeout=seconds)
    return late


def leave(work: Work) -> None:
    """Cancel it and wait for nothing."""
    keep(work)
    work.cancel()


def keep(work: Awaitable[Any]) -> Work:
    """Let the work go on without anybody who waits for it. Its result, or its error, is dropped."""
    task: Work = asyncio.ensure_future(work)
    _left.add(task)
    task.add_done_callback(_drop)
    return task


def _drop(work: Work) -> None:
    _left.discard(work)
    if not work.cancelled():
        work.exception()
