"""Options of `asya flow` that need more than their type: lists, files, schemas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def check_option(option: str, check: Callable[[str], str], value: str) -> None:
    from asya_cli.errors import UsageProblem

    try:
        check(value)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}, not {value!r}") from None


def words(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def text_of(file: Path) -> str:
    """The text of a file with its own line ends. Raises UsageProblem."""
    from asya_cli.errors import UsageProblem

    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file}: not UTF-8 at byte {error.start}") from None


def read_schema(text: str | None, file: Path | None) -> dict[str, Any] | None:
    import yaml

    from asya_cli.errors import UsageProblem
    from asya_crds import jsontext
    from asya_crds.yaml_text import Unreadable, Yaml, parse

    if text is not None and file is not None:
        raise UsageProblem("--input-schema and --input-schema-file exclude each other")
    if file is not None:
        if not file.exists():
            raise UsageProblem(f"--input-schema-file: {file} does not exist")
        text = text_of(file)
    if text is None:
        return None
    text = text.removeprefix("\ufeff")
    try:
        schema = jsontext.loads(text)
    except jsontext.InvalidJSON:
        # YAML is read as flows.yaml is: dates stay text, and what JSON cannot say is a mistake.
        try:
            document = parse(text, Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError))
        except Unreadable as error:
            raise UsageProblem(f"--input-schema: neither JSON nor YAML: {error.reason}") from None
        if document.mistakes:
            first = document.mistakes[0]
            raise UsageProblem(f"--input-schema: line {first.line}: {first.reason}") from None
        schema = document.value
    if not isinstance(schema, dict):
        raise UsageProblem("--input-schema: expected an object")
    return schema
