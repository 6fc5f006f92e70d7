"""A YAML or JSON document as a model, with mistakes worded by line and field, and without the values written there."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from asya_crds.mistakes import FieldMistake, explain, worded
from asya_crds.yaml_text import Path, Unreadable, Yaml, YamlDocument, parse
from asya_gateway.mounted.watching import InvalidFile

Model = TypeVar("Model", bound=BaseModel)

YAML = Yaml(yaml.CSafeLoader, yaml.YAMLError)
MOST_TOLD = 10
"""Mistakes of one document that are told."""


def read_document(
    text: bytes, model: type[Model], check: Callable[[Model], Iterable[FieldMistake]] = lambda _: ()
) -> Model:
    """The document. `check` finds further mistakes once every field is right by itself. Raises InvalidFile naming the
    line and field of each mistake and what was expected there."""
    try:
        document = parse(text.decode("utf-8-sig"), YAML)
    except UnicodeDecodeError as error:
        raise InvalidFile(f"not UTF-8 at byte {error.start}") from None
    except Unreadable as error:
        raise InvalidFile(f"line {error.line}: {error.reason}" if error.line else error.reason) from None
    found = [f"line {each.line}: {worded(each.path, each.reason)}" for each in document.mistakes]
    if not found:
        try:
            read = model.model_validate({} if document.value is None else document.value)
            found = list(_told(check(read), document))
        except ValidationError as error:
            found = list(_told(explain(error, model), document))
        else:
            if not found:
                return read
    more = f"; and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    raise InvalidFile("; ".join(found[:MOST_TOLD]) + more)


def _told(mistakes: Iterable[FieldMistake], document: YamlDocument) -> Iterator[str]:
    for each in mistakes:
        path = _as_written(each.path, document.value)
        line, text = document.line(path), worded(path, each.reason)
        yield text if line is None else f"line {line}: {text}"


def _as_written(path: Path, value: Any) -> Path:
    """The path without the parts that the model adds: the kind of a union's member, and the index of a list that was
    written as its only item."""
    found: list[str | int] = []
    for index, part in enumerate(path):
        is_last, in_mapping = index == len(path) - 1, isinstance(value, dict)
        if in_mapping and part not in value and (isinstance(part, int) or not is_last):
            continue
        found.append(part)
        value = _child(value, part)
    return tuple(found)


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None
