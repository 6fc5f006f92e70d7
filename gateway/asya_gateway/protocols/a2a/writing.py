"""JSON text of answers, in which JSON text that is already there is inserted unchanged."""

import os
from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.model import Verbatim


def json_text(value: Any) -> JsonText:
    """Encode a value that may contain Verbatim. Each stands in the encoded text as a mark that nobody can guess, and is
    then replaced."""
    found: list[JsonText] = []
    mark = os.urandom(12).hex()
    text = jsontext.dumps(_marked(value, mark, found))
    for number, verbatim in enumerate(found):
        text = text.replace(f'"{mark}.{number}."', verbatim, 1)
    return text


def _marked(value: Any, mark: str, found: list[JsonText]) -> Any:
    match value:
        case Verbatim():
            found.append(value.text)
            return f"{mark}.{len(found) - 1}."
        case Mapping():
            return {name: _marked(item, mark, found) for name, item in value.items()}
        case list() | tuple():
            return [_marked(item, mark, found) for item in value]
        case _:
            return value
