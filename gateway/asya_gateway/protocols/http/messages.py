"""Decodes bodies into the contract's messages."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from asya_crds.message import WireMessage, mistake_in
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.http.fields import Body, only_members

M = TypeVar("M", bound=WireMessage)
C = TypeVar("C")


def read(model: type[M], body: Body) -> M:
    """The message of a body. Raises InvalidInput naming the field."""
    try:
        found: M = _validator(model)(body)
    except ValidationError as error:
        raise _refusal(error, model) from None
    return found


def read_closed(model: type[C], body: Body) -> C:
    """The typed dictionary of a body without unknown members. Raises InvalidInput naming the field."""
    try:
        found: C = _validator(model)(body)
    except ValidationError as error:
        only_members(body, *model.__annotations__)
        raise _refusal(error, model) from None
    return found


def _refusal(error: ValidationError, model: type[Any]) -> InvalidInput:
    mistake = mistake_in(error, model)
    return InvalidInput(str(mistake), field=mistake.field)


def _validator_of(model: Any) -> Callable[[Any], Any]:
    return TypeAdapter(model).validator.validate_python


_validator: Callable[[Any], Callable[[Any], Any]] = lru_cache(maxsize=64)(_validator_of)
