"""What workers and crew tell mesh, and what it answers: both ends and the OpenAPI description are made from these.

The models take what jsontext decoded. Their fields have validators of their own, since pydantic's refuse lone
surrogates, and integers that are written 1.0. A result, frames and a checkpoint are no fields here: they stay text.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaMode

from asya_crds.incarnations import LARGEST
from asya_crds.mistakes import explain
from asya_crds.naming import ID_PATTERN, MAX_ID_LENGTH, check_id
from asya_crds.schema_walk import Path
from asya_crds.status import ClaimAction, ErrorClass, HopState, TaskStatus

LARGEST_INTEGER = 2**31 - 1
LARGEST_MEASURE = 1e15
ID_SCHEMA: dict[str, Any] = {
    "description": "An opaque identifier or a name: 1 to 255 printable characters.",
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_LENGTH,
    "pattern": ID_PATTERN,
    "not": {"enum": [".", ".."]},
}


class InvalidMessage(ValueError):
    """A message that cannot be understood; `field` names the part (dotted), the text what was expected there."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


def integer(least: int, most: int) -> Callable[[Any], int]:
    """A check of an integer within bounds."""

    def check(value: Any) -> int:
        # 1.0 is an integer (JSON Schema 2020-12, section 6.1.1).
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected an integer from {least} to {most}")
        return value

    return check


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_MEASURE:
        raise ValueError("expected a number that is not negative")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # as above
    return value


def _error(value: Any) -> str | dict[str, Any]:
    if not isinstance(value, str | dict):
        raise ValueError("expected a string, or an object {message, type, mro, traceback}")  # as above
    return value


def _hop(value: Any) -> str:
    """The step within the task, as text or as a number."""
    return str(integer(0, LARGEST_INTEGER)(value)) if isinstance(value, int | float) else check_id(value)


def _word(words: type[HopState | ErrorClass], *more: str) -> Callable[[Any], Any]:
    known = {word.value: word for word in words}

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in known:
            return known[value]
        raise ValueError(f"expected one of {', '.join([*words, *more])}")

    return check


def _bounded(least: int, most: int = LARGEST_INTEGER) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


_HOP_SCHEMA = {"anyOf": [ID_SCHEMA, _bounded(0)]}
_ERROR_SCHEMA = {"type": ["string", "object"]}
_MEASURE_SCHEMA = {"type": "number", "minimum": 0, "maximum": LARGEST_MEASURE}

Id = Annotated[str, PlainValidator(check_id), WithJsonSchema(ID_SCHEMA)]
Text = Annotated[InstanceOf[str], WithJsonSchema({"type": "string"})]
Object = Annotated[InstanceOf[dict[str, Any]], WithJsonSchema({"type": "object"})]
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Measure = Annotated[float, PlainValidator(_number), WithJsonSchema(_MEASURE_SCHEMA)]
Count = Annotated[int, PlainValidator(integer(0, LARGEST_INTEGER)), WithJsonSchema(_bounded(0))]
Attempt = Annotated[int, PlainValidator(integer(1, LARGEST_INTEGER)), WithJsonSchema(_bounded(1))]
Incarnation = Annotated[int, PlainValidator(integer(0, LARGEST)), WithJsonSchema(_bounded(0, LARGEST))]
HopName = Annotated[str, PlainValidator(_hop), WithJsonSchema(_HOP_SCHEMA)]
Error = Annotated[str | dict[str, Any], PlainValidator(_error), WithJsonSchema(_ERROR_SCHEMA)]
State = Annotated[
    HopState, PlainValidator(_word(HopState, "paused")), WithJsonSchema({"enum": [state.value for state in HopState]})
]
Class = Annotated[
    ErrorClass, PlainValidator(_word(ErrorClass)), WithJsonSchema({"enum": [each.value for each in ErrorClass]})
]


MAX_ACTORS = 1024
"""Longest route that is read: a report of a longer one is a loop that went wrong."""


def _names(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("expected a list of actor names")  # as above
    if len(value) > MAX_ACTORS:
        raise ValueError(f"expected at most {MAX_ACTORS} actors")
    return value


def _current(value: Any) -> str:
    return "" if value is None or value == "" else check_id(value)


_NAMES_SCHEMA = {"type": ["array", "null"], "items": ID_SCHEMA, "maxItems": MAX_ACTORS}
_CURRENT_SCHEMA = {"anyOf": [ID_SCHEMA, {"const": ""}, {"type": "null"}]}
Names = Annotated[tuple[Id, ...], BeforeValidator(_names), WithJsonSchema(_NAMES_SCHEMA)]
CurrentActor = Annotated[str, PlainValidator(_current), WithJsonSchema(_CURRENT_SCHEMA)]


class Message(BaseModel):
    """Fields that are not known are passed over: a newer peer may have more."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def saying(cls, **fields: Any) -> Self:
        """A message that is about to be sent: not checked, since that is for whoever receives it, and a report of ours
        must not fail on what somebody put into an envelope."""
        return cast("Self", cls.model_construct(**fields))

    @classmethod
    def wire(cls, **fields: Any) -> dict[str, Any]:
        """`saying(**fields).as_dict()`, at a fifth of its cost: what is sent with each report needs no model."""
        found = _defaults(cls) | fields
        return {_aliases(cls)[name]: value for name, value in found.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """The wire form, without what is unknown."""
        return self.model_dump(by_alias=True, exclude_none=True, warnings=False)

    def whole(self) -> dict[str, Any]:
        """The wire form with every field, null where it is unknown."""
        return self.model_dump(by_alias=True, warnings=False)


@cache
def _defaults(model: type[Message]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in model.model_fields.items() if not field.is_required()}


@cache
def _aliases(model: type[Message]) -> dict[str, str]:
    return {name: field.alias or name for name, field in model.model_fields.items()}


class RouteMessage(Message):
    """Where a hop stands. What is null or missing names nobody; an empty `curr` is past the last actor."""

    prev: Names = ()
    curr: CurrentActor = ""
    next: Names = ()


class OlderRouteMessage(Message):
    """The route of the older dialect, beside the index of the current actor (`current_actor_idx` or `current`)."""

    actors: Names = ()


class ClaimMessage(Message):
    """A worker's hold on this hop: the hop's name within the task, the attempt from 1, the worker's own token for
    this one delivery."""

    hop: HopName
    attempt: Attempt
    claimant: Id


class ProgressMessage(Message):
    """POST /mesh/{id}/progress: a report of one hop, beside its route. `incarnation` counts the answers that the task
    got before."""

    status: State
    message: Text | None = None
    duration_ms: Measure | None = None
    message_size_kb: Measure | None = None
    claim: ClaimMessage | None = None
    incarnation: Incarnation | None = None


class FinalMessage(Message):
    """POST /mesh/{id}/final: how the task ended, beside its result. Newer sidecars send in `error` what older ones
    call `error_details`."""

    id: Id | None = None
    status: Any = None
    """One of FINAL_STATUSES; the newest sidecars may also cancel, on routes of their own."""
    error: Error | None = None
    error_details: Object | None = None
    current_actor_name: Id | None = None
    attempts: Count | None = None
    error_class: Class | None = Field(default=None, alias="class")
    metadata: Object | None = None
    message: Text | None = None


class ChildMessage(Message):
    """POST /mesh: a fan-out's child, beside its route. `ends_itself`: its own crew will report its end."""

    id: Id
    parent_id: Id
    ends_itself: Flag = False


FINAL_STATUSES = (TaskStatus.SUCCEEDED, TaskStatus.FAILED)


def _ok(_value: Any) -> str:
    return "ok"


class OkAnswer(Message):
    """Taken."""

    status: Literal["ok"] = "ok"


class CreatedAnswer(Message):
    """Stored, or stored before."""

    status: Literal["created"] = "created"
    id: Text


class ActiveAnswer(Message):
    """Whether work on the task makes sense."""

    active: bool


def _known_action(value: Any) -> Any:
    return value if isinstance(value, str) and value in {*ClaimAction} else None


def _any_number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _percent(value: Any) -> float:
    found = _any_number(value)
    return found if found is not None and 0 <= found <= 100 else 0.0


Percent = Annotated[float, PlainValidator(_percent), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class ProgressAnswerMessage(Message):
    """The answer to a progress report. `action` and `lease_seconds` (how long the claim holds from now) only where a
    claim was sent; `remaining_seconds` to the task's deadline by the database's clock, below zero beyond it.

    A worker reads what a mesh of another version says: what it does not understand counts as not said.
    """

    status: Annotated[Literal["ok"], BeforeValidator(_ok)] = "ok"
    progress_percent: Percent = 0.0
    action: Annotated[ClaimAction | None, BeforeValidator(_known_action)] = None
    lease_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None
    remaining_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None


M = TypeVar("M", bound=Message)


def read(model: type[M], body: Mapping[str, Any]) -> M:
    """The message of a decoded body. Raises InvalidMessage for the first field that is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise mistake_in(error, model) from None


def mistake_in(error: ValidationError, model: type[Message]) -> InvalidMessage:
    """The first mistake that validation found."""
    first = explain(error, model)[0]
    return InvalidMessage(first.reason, spelled(first.path))


def spelled(path: Path) -> str:
    """A place in a message (`fields[0].type`); parts that somebody made up are cut."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in path)
    return "".join(parts).removeprefix(".")


def read_answer(body: Mapping[str, Any]) -> ProgressAnswerMessage:
    """What mesh answered to a progress report; never raises."""
    return ProgressAnswerMessage.model_validate(body)


def answer_schema(model: type[Message]) -> dict[str, Any]:
    """The JSON Schema of an answer that is sent whole (Message.whole)."""
    return schema_of(model, "serialization")


def schema_of(model: type[BaseModel], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The JSON Schema (2020-12) of a message, in one piece."""
    document = model.model_json_schema(by_alias=True, mode=mode)
    found = _tidy(document, document.get("$defs", {}))
    assert isinstance(found, dict)
    return found


def _tidy(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Without references, titles and defaults, which say nothing to a caller."""
    if isinstance(node, list):
        return [_tidy(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _tidy(definitions[node["$ref"].rpartition("/")[2]], definitions)
    kept = {key: value for key, value in node.items() if key not in ("$defs", "default")}
    if isinstance(kept.get("title"), str):
        del kept["title"]
    if isinstance(description := kept.get("description"), str):
        kept["description"] = " ".join(description.partition("\n\n")[0].split())
    return {key: _tidy(value, definitions) for key, value in kept.items()}
