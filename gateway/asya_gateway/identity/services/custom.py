"""An identity service of the operator's own: a class that is constructed with `config` and has
`async def profile(self, claims) -> dict | None`.

    class CustomIdentityService:
        def __init__(self, config): ...
        async def profile(self, claims):
            return {"scopes": ["reports"], "roles": ["analyst"], "department": "finance"}
"""

import asyncio
import importlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from typing_extensions import override

from asya_crds.jsontext import dumps
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.profiles import Profile, Profiles
from asya_gateway.domain.identity.scopes import MOST_SCOPES, is_scope

log = logging.getLogger(__name__)

GROUP = "asya.identity"
"""Entry points that name services."""
SECONDS = 2.0
"""How long a service may take for one person."""
LARGEST_PROFILE = 16 * 1024
"""Characters of a profile as JSON: it may become part of envelopes."""

Answering = Callable[[Mapping[str, Any]], Awaitable[Any]]


class CannotLoad(Exception):
    """The service cannot be used. The message says why."""


def load_service(module: str, config: Mapping[str, Any]) -> "Custom":
    """The service at `package.module.Class` or `package.module:Class`, or of an entry point. Raises CannotLoad."""
    try:
        made = _class_at(module)(dict(config))
        profile = made.profile
    except Exception as error:
        # Whatever the operator's code raises, the start ends with a line that says where.
        raise CannotLoad(f"{module}: {type(error).__name__}: {error}") from error
    if not inspect.iscoroutinefunction(profile):
        raise CannotLoad(f"{module}: expected `async def profile(self, claims)`")
    return Custom(module, profile)


class Custom(Profiles):
    """Calls the operator's class, with its answers checked and its time bounded."""

    def __init__(self, name: str, answer: Answering, *, seconds: float = SECONDS) -> None:
        self._name = name
        self._answer = answer
        self._seconds = seconds

    @override
    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._answer(dict(claims))
            return None if answer is None else _profile(answer)
        except Exception as error:  # noqa: BLE001 # the operator's code may raise anything
            # The error's text and its traceback may contain what is secret; its kind does not.
            log.warning("identity service %s failed: %s", self._name, _kind(error))
            raise Unavailable("the identity service is not available") from None


def _class_at(module: str) -> Any:
    if "." not in module and ":" not in module:
        for point in entry_points(group=GROUP, name=module):
            return point.load()
        raise LookupError(f"no entry point of the group {GROUP} has this name")
    if ":" in module:
        package, _, name = module.partition(":")
    else:
        package, _, name = module.rpartition(".")
    return getattr(importlib.import_module(package), name)


class _Odd(ValueError):
    """The service's answer is not a profile; the text says what was expected."""


def _profile(answer: Any) -> Profile:
    if not isinstance(answer, Mapping) or not all(isinstance(name, str) for name in answer):
        raise _Odd("expected a dictionary with texts as keys, or None")
    facts = {name: value for name, value in answer.items() if name not in ("scopes", "roles", "id")}
    try:
        size = len(dumps(facts))
    except (TypeError, ValueError):
        raise _Odd("expected values that JSON can express") from None
    if size > LARGEST_PROFILE:
        raise _Odd(f"expected at most {LARGEST_PROFILE} characters of JSON")
    return Profile(_texts(answer, "scopes", is_scope), _texts(answer, "roles", bool), facts)


def _texts(answer: Mapping[str, Any], name: str, is_good: Callable[[str], bool]) -> frozenset[str]:
    value = answer.get(name) or ()
    if not isinstance(value, list | tuple | set | frozenset) or len(value) > MOST_SCOPES:
        raise _Odd(f"expected at most {MOST_SCOPES} {name} in a list")
    if not all(isinstance(each, str) and is_good(each) for each in value):
        raise _Odd(f"expected {name} of visible characters")
    return frozenset(value)


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) if isinstance(error, _Odd) else type(error).__name__
