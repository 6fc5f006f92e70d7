"""The queues of a run: in the folder's own database, or in the queue system that the shell's ASYA_TRANSPORT names."""

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from asya_cli.errors import CliError, UsageProblem
from asya_transports.bounded import ended
from asya_transports.description import TransportSettingsError
from asya_transports.known import EMBEDDED, describe
from asya_transports.opening import open_transport
from asya_transports.port import TransportUnavailable

if TYPE_CHECKING:
    from asya_transports.description import TransportSettings

ANSWERS_WITHIN = 15.0
"""Seconds in which the queue system must answer at the start of a run."""
CLOSES_WITHIN = 3.0


def chosen() -> str:
    """The name of the transport of this run."""
    return os.environ.get("ASYA_TRANSPORT") or EMBEDDED.name


def variables() -> dict[str, str]:
    """What the programs of a run have in their environment beside the shell's own variables. Raises UsageProblem."""
    try:
        description = describe(chosen())
    except TransportSettingsError as error:
        raise UsageProblem(str(error)) from None
    here = {name: value for name, value in description.development.items() if not os.environ.get(name)}
    return {"ASYA_TRANSPORT": description.name, **here}


async def told(settings: "TransportSettings", namespace: str) -> str:
    """Where the queues are, for the user; empty if they are in the folder's own database. Raises CliError with what the
    queue system says and what to set, UsageProblem for an extra that is not installed."""
    if settings.name == EMBEDDED.name:
        return ""
    description = describe(settings.name)
    without = f"without ASYA_TRANSPORT the queues are in {EMBEDDED.name}, which needs nothing"
    try:
        transport = open_transport(settings, namespace)
    except TransportSettingsError as error:
        raise UsageProblem(f"{error}; {without}") from None
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            await transport.check()
    except (TransportUnavailable, TimeoutError) as error:
        said = str(error) or f"no answer within {ANSWERS_WITHIN:g} s"
        raise CliError(f"ASYA_TRANSPORT={settings.name}: {said}. {description.advice}; {without}") from None
    finally:
        with contextlib.suppress(Exception):
            await ended(asyncio.ensure_future(transport.close()), CLOSES_WITHIN)
    return f"queues: {settings.name}, whose queues of namespace {namespace} are shared with all programs that use them"
