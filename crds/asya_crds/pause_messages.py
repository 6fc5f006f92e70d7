"""The question of an actor that pauses: `pause_metadata` (docs/protocols/mesh.md)."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from asya_crds.answers import OnDecline
from asya_crds.input_messages import Inputs, Link
from asya_crds.message import WireMessage
from asya_crds.message_fields import Id, Text

WAITS_AS = ("paused", "auth_required")
TYPES = ("string", "boolean", "number", "integer", "array", "object")


def _type(value: Any) -> Any:
    if value not in TYPES:
        raise ValueError(f"expected one of {', '.join(TYPES)}")
    return value


def _list(expected: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is not None and not isinstance(value, list):
            raise ValueError(f"expected {expected}")  # a mistake of the value, like the one above
        return value or []

    return check


def _options(value: Any) -> Any:
    """Any empty value means no options, as in earlier versions."""
    return _list("a list")(value or None)


def _on_decline(value: Any) -> OnDecline:
    if isinstance(value, str) and value in tuple(OnDecline):
        return OnDecline(value)
    raise ValueError(f"expected one of {', '.join(OnDecline)}")


def _waits_as(value: Any) -> str:
    if value in WAITS_AS:
        return str(value)
    raise ValueError(f"expected one of {', '.join(WAITS_AS)}")


def _schema(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise ValueError("expected a JSON Schema object")  # as above
    return value


_NAME_SCHEMA = {"type": "string", "minLength": 1}
_OPTIONS_SCHEMA = {"anyOf": [{"type": ["array", "null"]}, {"enum": [False, 0, "", {}]}]}
_SCHEMA_SCHEMA = {"type": ["object", "null"]}

FieldName = Annotated[Any, WithJsonSchema(_NAME_SCHEMA)]
FieldType = Annotated[str, PlainValidator(_type), WithJsonSchema({"enum": [*TYPES]})]
Options = Annotated[list[Any], PlainValidator(_options), WithJsonSchema(_OPTIONS_SCHEMA)]
AnswerSchema = Annotated[dict[str, Any] | None, PlainValidator(_schema), WithJsonSchema(_SCHEMA_SCHEMA)]
Declined = Annotated[
    OnDecline, PlainValidator(_on_decline), WithJsonSchema({"enum": [each.value for each in OnDecline]})
]
WaitsAs = Annotated[str, PlainValidator(_waits_as), WithJsonSchema({"enum": [*WAITS_AS]})]


class QuestionField(WireMessage):
    """One part of the answer. `prompt`, `payload_key`, `required` and `default` are accepted unchecked."""

    name: FieldName
    type: FieldType = "string"
    options: Options = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(name := value.get("name"), str) and name:
            return value
        raise ValueError("expected an object with a name")


Fields = Annotated[list[QuestionField], BeforeValidator(_list("a list of {name, type}"))]


class QuestionMessage(WireMessage):
    """`pause_metadata`: what is asked. `schema` is the answer's JSON Schema if the actor gives one; otherwise it is
    built from `fields`. Instead of these two, `inputs` asks several questions, each with a key and an answer of its
    own. `data` is shown to the caller with the question. `url` is where the person answers, or finds out more. `status`
    auth_required: what is missing is an authorization."""

    prompt: Text = ""
    fields_: Fields | None = Field(default=None, alias="fields")
    answer_schema: AnswerSchema = Field(default=None, alias="schema")
    data: Any = None
    pause_id: Id | None = None
    inputs: Inputs = None
    url: Link | None = None
    on_decline: Declined = OnDecline.WAIT
    status: WaitsAs | None = None
