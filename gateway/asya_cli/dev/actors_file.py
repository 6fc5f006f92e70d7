"""actors.yaml: which handlers run behind the flows of a folder (docs/dev.md)."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from asya_cli.errors import UsageProblem
from asya_crds.naming import CREW, check_own_actor


def _check_handler(value: str) -> str:
    if value.count(".") < 1 or not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("expected module.function or module.Class.method")
    return value


def _check_name(value: str) -> str:
    if check_own_actor(value) in CREW:
        raise ValueError(f"{value} is one of the crew, which runs by itself")
    return value


class Actor(BaseModel):
    """One entry: a handler and the queue it serves. `resiliency` has the words of an AsyncActor's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_check_name)]
    handler: Annotated[str, AfterValidator(_check_handler)]
    resiliency: dict[str, Any] | None = None
    env: dict[str, str] = Field(default_factory=dict)


class ActorsFile(BaseModel):
    """The whole of actors.yaml: `actors: [{name, handler, resiliency?, env?}]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actors: list[Actor]

    @model_validator(mode="after")
    def _names_once(self) -> "ActorsFile":
        twice = [name for name, count in Counter(actor.name for actor in self.actors).items() if count > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)}: named twice")
        return self


def load_actors(path: Path) -> list[Actor]:
    """The actors of a file; raises UsageProblem naming file, entry and what was expected."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageProblem(f"{path}: no such file; it names the handlers: actors: [{{name, handler}}]") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageProblem(f"{path}: {' '.join(str(error).split())}") from None
    try:
        return ActorsFile.model_validate(value).actors
    except ValidationError as error:
        raise UsageProblem(
            f"{path}: " + "; ".join(_complaint(value, item["loc"], item["msg"]) for item in error.errors())
        ) from None


def _complaint(value: Any, loc: tuple[int | str, ...], message: str) -> str:
    """One mistake, at its place: an actor is told by its name where it has one."""
    where = ".".join(str(part) for part in loc)
    if len(loc) > 1 and loc[0] == "actors" and isinstance(loc[1], int):
        with contextlib.suppress(LookupError, TypeError):
            where = ".".join([f"actor {value['actors'][loc[1]]['name']}", *(str(part) for part in loc[2:])])
    return f"{where or 'actors.yaml'}: {message.removeprefix('Value error, ')}"


def grouped_by_environment(actors: list[Actor]) -> list[list[Actor]]:
    """Actors that may share a process: variables belong to a process, so those with different ones may not."""
    groups: dict[tuple[tuple[str, str], ...], list[Actor]] = {}
    for actor in actors:
        groups.setdefault(tuple(sorted(actor.env.items())), []).append(actor)
    return list(groups.values())
