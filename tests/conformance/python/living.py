# mypy: ignore-errors
# It runs beside several generations of the package.
"""What the lives of all Python clients have in common. The argument of their programs is JSON: mode, url, cutting (an
address that breaks a call's stream once), mark (what the tasks of this life are found by)."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
MODE: str = OPTIONS["mode"]
MARK: str = OPTIONS["mark"]
SILENCE = 12
"""Seconds for which a flow says nothing."""
PATIENCE = 6.0
"""Seconds that a client waits for the next byte: less than the silence, more than five of the gateway's intervals."""
HASTE = 1.5
"""Seconds of a timer that progress does not reset."""
SEEN: dict[str, Any] = {"asked": [], "logged": []}
ASKING = ["test_elicitation", "test_input_required_result_elicitation"]
"""Tools of a flow that asks while it runs, and of one that asks before it starts."""
SILENT: dict[str, Any] = {"seconds": SILENCE, "label": "a long silence"}
KEY: dict[str, Any] = {"sh.asya/idempotencyKey": MARK}
"""`_meta` of a call that may be made again."""
CUT: dict[str, Any] = {"seconds": 3, "label": f"{MARK}-cut"}


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """A form with an answer in every field."""
    fields = schema["properties"].items()
    return {name: True if field.get("type") == "boolean" else f"my {name}" for name, field in fields}


def code_of(error: BaseException) -> Any:
    """What an error says: the code of JSON-RPC, else its name."""
    known = getattr(error, "error", error)
    return getattr(known, "code", type(error).__name__)


async def refused(call: Awaitable[Any]) -> Any:
    """The code of its error, or how its result says that it is one."""
    try:
        result = await call
    except Exception as error:  # noqa: BLE001 # what it raises is what is told
        return code_of(error)
    return "isError" if getattr(result, "isError", getattr(result, "is_error", False)) else "nothing"


class Heard:
    """The progress of one call."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._first = asyncio.Event()

    async def __call__(self, value: float, *_: Any) -> None:
        self.values.append(value)
        self._first.set()

    async def first(self) -> None:
        await asyncio.wait_for(self._first.wait(), 30)


class Resumptions:
    """Counts the streams that a client of HTTP takes up again, and has its calls wait for a byte for PATIENCE only."""

    def __init__(self, hasty: bool = False) -> None:
        self.count, self._hasty = 0, hasty

    async def __call__(self, request: Any) -> None:
        self.count += "last-event-id" in request.headers
        if self._hasty and request.method == "POST":
            request.extensions["timeout"]["read"] = PATIENCE


async def abandoned(call: Any, heard: Heard) -> str:
    """How a call ends that its caller gives up once it has made progress."""
    calling = asyncio.create_task(call)
    await heard.first()
    calling.cancel()
    [outcome] = await asyncio.gather(calling, return_exceptions=True)
    return type(outcome).__name__


def live(main: Callable[[], Awaitable[None]]) -> None:
    """Run it, and print what was seen as the last line."""
    asyncio.run(main())
    print(json.dumps(SEEN))
