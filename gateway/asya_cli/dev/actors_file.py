"""actors.yaml: the handlers behind a folder's flows (docs/dev.md)."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from asya_actor.resiliency_text import ResiliencyText
from asya_cli.errors import UsageProblem
from asya_crds.mistakes import FieldMistake, explain
from asya_crds.naming import CREW, check_own_actor
from asya_crds.yaml_text import Unreadable, Yaml, YamlDocument, parse

YAML = Yaml(yaml.CSafeLoader, yaml.YAMLError)


def _check_handler(value: str) -> str:
    if value.count(".") < 1 or not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("expected module.function or module.Class.method")
    return value


def _check_name(value: str) -> str:
    if check_own_actor(value) in CREW:
        raise ValueError(f"{value} is an actor of the crew, which runs automatically")
    return value


class ActorEntry(BaseModel):
    """One entry: a handler and the queue it serves. `resiliency` has the fields of an AsyncActor's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_check_name)]
    handler: Annotated[str, AfterValidator(_check_handler)]
    resiliency: ResiliencyText | None = None
    env: dict[str, str] = Field(default_factory=dict)


class ActorsFile(BaseModel):
    """The whole of actors.yaml: `actors: [{name, handler, resiliency?, env?}]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actors: list[ActorEntry]

    @model_validator(mode="after")
    def _names_once(self) -> "ActorsFile":
        twice = [name for name, count in Counter(actor.name for actor in self.actors).items() if count > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)}: named twice")
        return self


def load_actors(path: Path) -> list[ActorEntry]:
    """The actors of a file; raises UsageProblem naming file, line, entry and what was expected."""
    try:
        document = parse(path.read_text(encoding="utf-8-sig"), YAML)
    except FileNotFoundError:
        raise UsageProblem(f"{path}: no such file; it names the handlers: actors: [{{name, handler}}]") from None
    except Unreadable as error:
        raise UsageProblem(f"{path}: {_at(error.line)}{error.reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: {error}") from None
    if document.mistakes:
        complaints = [f"{_at(each.line)}{_place(document.value, each.path)}{each.reason}" for each in document.mistakes]
        raise UsageProblem(f"{path}: {'; '.join(complaints)}")
    try:
        return ActorsFile.model_validate(document.value).actors
    except ValidationError as error:
        complaints = [_complaint(document, mistake) for mistake in explain(error, ActorsFile)]
        raise UsageProblem(f"{path}: {'; '.join(complaints)}") from None


def _complaint(document: YamlDocument, mistake: FieldMistake) -> str:
    """The text of one mistake with its location."""
    path = mistake.path
    reason = mistake.reason if path or isinstance(document.value, dict) else "expected `actors: [{name, handler}]`"
    return f"{_at(document.line(path) if path else None)}{_place(document.value, path)}{reason}"


def _place(value: Any, path: tuple[int | str, ...]) -> str:
    """The location of a mistake. An actor is identified by its name if it has one."""
    where = ".".join(str(part) for part in path)
    if len(path) > 1 and path[0] == "actors" and isinstance(path[1], int):
        with contextlib.suppress(LookupError, TypeError):
            where = ".".join([f"actor {value['actors'][path[1]]['name']}", *(str(part) for part in path[2:])])
    return f"{where}: " if where else ""


def _at(line: int | None) -> str:
    return f"line {line}: " if line else ""


def grouped_by_environment(actors: list[ActorEntry]) -> list[list[ActorEntry]]:
    """Groups of actors that may share a process. Environment variables belong to a process, so actors with different
    ones may not share it."""
    groups: dict[tuple[tuple[str, str], ...], list[ActorEntry]] = {}
    for actor in actors:
        groups.setdefault(tuple(sorted(actor.env.items())), []).append(actor)
    return list(groups.values())
