"""Finds the handler named by ASYA_HANDLER: `module.function` or `module.Class.method`."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any], Any]
"""Takes the payload. Returns the next one, an awaitable of it, or a generator (docs/how-to/handlers.md)."""


class HandlerNotFound(ValueError):
    """ASYA_HANDLER does not name a callable; `complaint` says which part is missing."""

    def __init__(self, handler: str, complaint: str) -> None:
        super().__init__(f"ASYA_HANDLER is {handler!r}{complaint}")
        self.handler = handler
        self.complaint = complaint


def load_handler(name: str) -> Handler:
    """Import the module, and create the instance if the name contains a class.

    The class is instantiated without arguments, so each of its parameters needs a default. Raises HandlerNotFound;
    errors of the user's module or constructor are passed on unchanged.
    """
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise HandlerNotFound(name, "; expected module.function or module.Class.method")
    module, rest = _import_longest(parts)
    found: Any = module
    for number, part in enumerate(rest):
        if inspect.isclass(found):
            found = _instance(found, name)
        try:
            found = getattr(found, part)
        except AttributeError:
            owner = ".".join(parts[: len(parts) - len(rest) + number])
            raise HandlerNotFound(name, f", and {owner} has no {part}") from None
    if inspect.isclass(found):
        raise HandlerNotFound(name, ", a class; name its method too")
    if not callable(found):
        raise HandlerNotFound(name, ", which cannot be called")
    handler: Handler = found
    return handler


def is_async(handler: Handler) -> bool:
    """Whether a call of the handler runs in the event loop: an async function, method or generator, a partial of one,
    or an object whose `__call__` is one."""
    for each in (handler, getattr(handler, "__call__", None)):  # noqa: B004 # not whether it is there: what it is
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            return True
    return False


def _import_longest(parts: list[str]) -> tuple[Any, list[str]]:
    """The longest prefix that is a module, and the remaining names."""
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            return importlib.import_module(module), parts[length:]
        except ModuleNotFoundError as error:
            # A module missing inside the user's module is the user's error and is raised unchanged.
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise
    raise HandlerNotFound(".".join(parts), f", and there is no module {parts[0]}")


def _instance(cls: type, name: str) -> Any:
    if inspect.iscoroutinefunction(vars(cls).get("__init__")):
        raise HandlerNotFound(name, f", and {cls.__name__}.__init__ is async; it must not be")
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        complaint = f", and {cls.__name__} needs arguments ({error}); give each a default"
        raise HandlerNotFound(name, complaint) from None
    except ValueError:
        pass  # a class of an extension module without a signature
    return cls()
