"""Members of a method's parameters that every malformed request gets wrong alike."""

from collections.abc import Mapping
from typing import Any

from asya_crds.naming import check_id
from asya_gateway.protocols.mcp.errors import InvalidParams


def is_id(text: str) -> bool:
    """Whether a task may have this id: no statement must get another one, such as a NUL that a URI has encoded."""
    try:
        check_id(text)
    except ValueError:
        return False
    return True


def text_member(values: Mapping[str, Any], key: str, where: str | None = None) -> str:
    """A member that must be a text. `where` names it in the error. Raises InvalidParams."""
    value = values.get(key)
    if not isinstance(value, str):
        raise InvalidParams(f"{where or key}: expected a string")
    return value


def object_member(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A member that must be an object. Raises InvalidParams."""
    value = params.get(key)
    if not isinstance(value, Mapping):
        raise InvalidParams(f"{key}: expected an object")
    return value
