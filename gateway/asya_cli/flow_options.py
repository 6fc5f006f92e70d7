"""Options of `asya flow` that need more than their type: lists, files, schemas, and fields by their names."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCKS = ("mcp", "a2a")
"""Fields of a flow that have fields of their own."""


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
    from asya_cli.errors import UsageProblem

    if text is not None and file is not None:
        raise UsageProblem("--input-schema and --input-schema-file exclude each other")
    if file is not None:
        if not file.exists():
            raise UsageProblem(f"--input-schema-file: {file} does not exist")
        text = text_of(file)
    if text is None:
        return None
    schema = value_of("--input-schema", text)
    if not isinstance(schema, dict):
        raise UsageProblem("--input-schema: expected an object")
    return schema


def value_of(option: str, text: str) -> Any:
    """The value of JSON or YAML. Raises UsageProblem."""
    import yaml

    from asya_cli.errors import UsageProblem
    from asya_crds import jsontext
    from asya_crds.yaml_text import Unreadable, Yaml, parse

    text = text.removeprefix("\ufeff")
    try:
        return jsontext.loads(text)
    except jsontext.InvalidJSON:
        # YAML is read like flows.yaml: dates stay text, and values outside JSON are mistakes.
        try:
            document = parse(text, Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError))
        except Unreadable as error:
            raise UsageProblem(f"{option}: neither JSON nor YAML: {error.reason}") from None
        if document.mistakes:
            first = document.mistakes[0]
            raise UsageProblem(f"{option}: line {first.line}: {first.reason}") from None
        return document.value


def set_fields(words: Iterable[str]) -> dict[str, Any]:
    """The fields of `--set FIELD=VALUE`, of which those of mcp and a2a are named `mcp.FIELD`. Both spellings of a name
    are taken; whether a flow has the field is checked with the flow. Raises UsageProblem."""
    from asya_cli.arguments import content_of
    from asya_cli.errors import UsageProblem
    from asya_crds.contract import camel

    found: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        block, dot, inner = path.partition(".")
        if not equals or not block or (dot and (block not in BLOCKS or not inner or "." in inner)):
            expected = ", ".join(("FIELD=VALUE", *(f"{name}.FIELD=VALUE" for name in BLOCKS)))
            raise UsageProblem(f"--set: expected one of {expected}, not {word!r}")
        if path == "name":
            raise UsageProblem("--set name: TARGET is the flow's name")
        place = found.setdefault(block, {}) if dot else found
        name = camel(inner or block)
        if not isinstance(place, dict) or name in place:
            raise UsageProblem(f"--set {path}: given twice")
        place[name] = value_of(f"--set {path}", content_of(path, text))
    return found


def merged_fields(flow: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A flow of other options with the fields of `--set`. Raises UsageProblem for a field that both give."""
    from asya_cli.errors import UsageProblem

    both = {name for name in more if name in flow and name not in BLOCKS}
    merged = {**flow, **more}
    for name in BLOCKS:
        one, other = flow.get(name), more.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            both |= {f"{name}.{field}" for field in one.keys() & other.keys()}
            merged[name] = one | other
    if both:
        raise UsageProblem(f"--set {min(both)}: another option gives it, too")
    return merged


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
