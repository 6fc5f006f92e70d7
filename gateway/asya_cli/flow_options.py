"""Options of `asya flow` that need more than their type: lists, files, schemas."""

from collections.abc import Callable, Mapping
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
    """The text of a file with unchanged line ends. Raises UsageProblem."""
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
        # YAML is read like flows.yaml: dates stay text, and values outside JSON are mistakes.
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


def timeout_of(text: str | None) -> int | str | None:
    """A timeout as text, or as a number if it is a number of seconds."""
    return int(text) if text is not None and text.isdecimal() else text


def wanted_flow(
    plain: Mapping[str, Any], schema: dict[str, Any] | None, skill: Mapping[str, Any], *, mcp: bool, a2a: bool
) -> dict[str, Any]:
    """The parts of a flow given by options, and no others. `mcp` and `a2a` request an exposure; a schema also requests
    the first, and a part of a skill the second."""
    named_skill = {key: value for key, value in skill.items() if value is not None}
    exposures = {
        "mcp": {} if schema is None else {"inputSchema": schema},
        "a2a": named_skill,
    }
    asked = {"mcp": mcp or schema is not None, "a2a": a2a or bool(named_skill)}
    return {
        **{key: value for key, value in plain.items() if value is not None},
        **{name: exposure for name, exposure in exposures.items() if asked[name]},
    }
