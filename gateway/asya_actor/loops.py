"""The event loop of worker and crew: uvloop where it is installed, and a garbage collector that runs less often."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

NEW_OBJECTS = 5_000
"""New objects after which the garbage collector runs, instead of 700. The hops in work hold some thousands of objects,
which it would walk again and again: an eighth of a worker's CPU. A handler's module may set another threshold."""


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a program to its end. With uvloop a task costs less CPU. Threads with loops of their own keep the plain one,
    which also runs everything on Windows, where there is no uvloop."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
