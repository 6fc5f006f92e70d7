"""How long a caller waits for the database, and how writes with an unknown outcome are retried."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from typing_extensions import override

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.database import SERVER_BUSY, connection_lost
from asya_transports.bounded import ended
from asya_transports.postgres.sessions import session_of

log = logging.getLogger(__name__)

Result = TypeVar("Result")

LONGEST_REST = 60.0
"""Most seconds that a loop rests after a long run."""


class Doubt:
    """Whether an attempt at a write ended without the server's answer. It is never reset: whatever a later attempt
    returns, the earlier one may have been committed."""

    def __init__(self) -> None:
        self.raised = False

    def note(self, error: Exception) -> None:
        """Record how an attempt ended."""
        if connection_lost(error) and not (isinstance(error, Unavailable) and not error.uncertain):
            self.raised = True


class acquired(session_of):  # noqa: N801 # called as a function
    """A connection for a write; waits 5 s for one. Raises Unavailable (not uncertain: nothing was sent)."""

    __slots__ = ()

    @override
    async def __aenter__(self) -> Any:
        try:
            return await super().__aenter__()
        except Exception as error:
            if connection_lost(error):
                raise Unavailable("the database is not available") from error
            raise


async def within(seconds: float, work: Awaitable[Result], *, write: bool = False) -> Result:
    """The result of a read or write. Raises Unavailable after so many seconds; for a `write` it is uncertain.

    The work is cancelled but not awaited. With a frozen server, the driver spends seconds on closing the connection,
    and the caller need not wait for that.
    """
    task = asyncio.ensure_future(work)
    if not await ended(task, seconds):
        raise Unavailable("the database does not answer", uncertain=write)
    return task.result()


Settle = Callable[[], Awaitable[None]]
"""Waits until what earlier attempts stored is safe (replication.py)."""


async def until_answered(
    write: Callable[[], Awaitable[Result]],
    patience: float,
    what: str,
    doubt: Doubt | None = None,
    settle: Settle | None = None,
) -> Result:
    """Run a write that is idempotent by key until the server answers, or until `patience` seconds have passed. If an
    earlier attempt may have been committed, the result is returned after `settle`.

    Raises Unavailable in the latter case, and the server's own errors. `doubt` records every attempt.
    """
    doubt = doubt or Doubt()
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    pause = 0.05
    while True:
        try:
            result = await write()
            if doubt.raised and settle is not None:
                await settle()
            return result
        except Exception as error:
            doubt.note(error)
            if not connection_lost(error):
                raise
            if loop.time() + pause >= until:
                raise Unavailable("the database is not available", uncertain=doubt.raised) from error
            log.info("%s: database lost (%s), writing again in %.2f s", what, type(error).__name__, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)


async def written_singly(
    write: Callable[[], Awaitable[Result]], patience: float, what: str, settle: Settle | None = None
) -> Result:
    """The same for a single write. A busy server also raises Unavailable."""
    doubt = Doubt()
    try:
        return await until_answered(write, patience, what, doubt, settle)
    except SERVER_BUSY as error:
        raise Unavailable("the database is busy", uncertain=doubt.raised) from error


async def for_ever(
    work: Callable[[], Awaitable[object]], every: float, name: str, *, rests: float = 0, first: float = 0
) -> None:
    """Run `work` every `every` seconds, or after `rests` times as long as it took (at most a minute) if that is longer.
    The first turn comes after `first` seconds. A failure is logged, and the next turn tries again."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(first)
    while True:
        began = loop.time()
        try:
            await work()
        except Unavailable:
            log.info("%s: the database is not available", name)
        except Exception:
            log.exception("%s failed", name)
        await asyncio.sleep(max(every, min(rests * (loop.time() - began), LONGEST_REST)))
