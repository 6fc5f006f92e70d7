"""A flow: a named pipeline of actors and how it is exposed. flows.yaml and Flow resources use the same fields."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from asya_crds.contract import Contract, camel
from asya_crds.durations import parse_duration
from asya_crds.flow_sets import SetName
from asya_crds.mcp_offers import (
    MAX_DESCRIPTION,
    MAX_ICONS,
    MAX_ITEMS,
    Icon,
    McpPrompt,
    McpResource,
    MediaType,
    check_passed_on,
)
from asya_crds.naming import PAUSE, RESUME, SINK, SUMP, check_flow_name, check_own_actor
from asya_crds.rounds.asked import MOST_ROUNDS, InputKey, Round, check_rounds
from asya_crds.schema_rules import check_input_schema, check_schema

MAX_ROUTE = 64
"""Most actors after the entrypoint. Every report of every hop carries the route, so it must stay short."""

_RESERVED = {
    SINK: "gets every message at the end of its route automatically",
    SUMP: "gets every failed message automatically",
    RESUME: "gets only the answers to pauses",
}
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


def _check_route_actor(name: str) -> str:
    check_own_actor(name)
    if name in _RESERVED:
        raise ValueError(f"{name} must not be named in a flow: it {_RESERVED[name]}")
    return name


def _check_entrypoint(name: str) -> str:
    if name == PAUSE:
        raise ValueError(f"{PAUSE} needs an actor before it that asks the question")
    return _check_route_actor(name)


def _longer_than_none(otherwise: str) -> Callable[[Any], float]:
    """A check that a duration is above zero; `otherwise` says what applies when the field is left out."""

    def check(value: Any) -> float:
        seconds = parse_duration(value)
        if seconds == 0:
            raise ValueError(f"expected more than 0 seconds; {otherwise}")
        return seconds

    return check


def _check_scope(scope: str) -> str:
    if not _SCOPE.fullmatch(scope):
        raise ValueError("expected a scope of 1 to 128 printable characters without space, quote and backslash")
    return scope


Entrypoint = Annotated[str, AfterValidator(_check_entrypoint)]
RouteActor = Annotated[str, AfterValidator(_check_route_actor)]
FlowName = Annotated[str, AfterValidator(check_flow_name)]
Timeout = Annotated[float, BeforeValidator(_longer_than_none("leave timeout out for the gateway's default deadline"))]
MaxPause = Annotated[float, BeforeValidator(_longer_than_none("leave it out for the gateway's longest pause"))]
Scope = Annotated[str, AfterValidator(_check_scope)]
"""A scope-token of RFC 6749, section 3.3."""
Tag = Annotated[str, Field(min_length=1, max_length=64)]
TaskMode = Literal["auto", "never", "required"]
"""Whether MCP clients get a task for a call: if it takes longer than a moment and they can poll, never, or always."""
A2A_PATHS = frozenset({"v1", "tasks", "extendedAgentCard"})
"""Below /a2a, where each skill has a path. (The protocol's other ones there are no names of flows.)"""
ReplyMode = Literal["task", "message", "auto"]
"""What A2A clients get for a message: a task, the result as a direct message, or what the actor's result says."""


class ToolAnnotations(BaseModel):
    """Hints for clients (MCP, schema ToolAnnotations). Unknown hints are passed on."""

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, alias_generator=camel, validate_by_name=True, validate_by_alias=True
    )

    title: str | None = Field(default=None, max_length=256)
    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
    open_world_hint: bool | None = None


class McpExposure(Contract):
    """Present: the flow is an MCP tool (and callable over REST), unless `tool` is false; with `prompt` or `resource` it
    is one of these, too. Title, icons and `_meta` are those of each."""

    input_schema: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})
    output_schema: dict[str, Any] | None = None
    progress: bool = True
    task: TaskMode = "auto"
    annotations: dict[str, Any] | None = None
    title: str | None = Field(default=None, max_length=256)
    input: list[Round] = Field(default_factory=list, max_length=MOST_ROUNDS)
    input_key: InputKey = "input"
    icons: list[Icon] | None = Field(default=None, max_length=MAX_ICONS)
    meta: dict[str, Any] | None = Field(default=None, alias="_meta")
    tool: bool = True
    prompt: McpPrompt | None = None
    resource: McpResource | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _null_is_no_prompt(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("expected an object; write `prompt: {}` for a prompt with defaults, or leave the line out")
        return value

    @field_validator("input_schema", mode="before")
    @classmethod
    def _accept_shorthands(cls, value: Any) -> Any:
        """Older files write `{param: {type, required: true}}`, which is read as the object schema it means.

        A schema without `type` gets `object`, the type that arguments always have.
        """
        if value is None:
            return {"type": "object"}
        if not isinstance(value, dict):
            return value
        return _from_flat(value) if _is_flat(value) else {**value, "type": value.get("type", "object")}

    @field_validator("input_schema")
    @classmethod
    def _input_schema_keeps_the_rules(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type") != "object":
            raise ValueError('expected a JSON Schema with "type": "object" at its root')
        check_input_schema(value)
        return value

    @field_validator("output_schema")
    @classmethod
    def _output_schema_keeps_the_rules(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            check_schema(value)
        return value

    @field_validator("annotations")
    @classmethod
    def _hints_have_their_types(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        check_passed_on(value)
        return ToolAnnotations.model_validate(value).model_dump(by_alias=True, exclude_none=True)

    @model_validator(mode="after")
    def _rounds_fit_the_arguments(self) -> Self:
        if self.input:
            check_rounds(self.input, self.input_schema, self.input_key)
        return self

    @field_validator("meta")
    @classmethod
    def _meta_is_bounded(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            check_passed_on(value)
        return value


def _is_flat(value: dict[str, Any]) -> bool:
    """Whether this is a map of parameters: each one an object with a type, and none of them readable as a JSON Schema
    keyword."""
    if not value or "$schema" in value or isinstance(value.get("type"), str | list):
        return False
    if _SCHEMA_WORDS & value.keys():
        return False
    return all(isinstance(part, dict) and isinstance(part.get("type"), str | list) for part in value.values())


_SCHEMA_WORDS = frozenset({"properties", "$ref", "$defs", "allOf", "anyOf", "oneOf"})


def _from_flat(value: dict[str, Any]) -> dict[str, Any]:
    required = [name for name, part in value.items() if part.get("required") is True]
    properties = {
        name: {key: item for key, item in part.items() if key != "required" or not isinstance(item, bool)}
        for name, part in value.items()
    }
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


class A2aExposure(Contract):
    """Present: the flow is an A2A skill."""

    tags: list[Tag] = Field(default_factory=lambda: ["asya"], max_length=MAX_ITEMS)
    input_modes: list[MediaType] = Field(
        default_factory=lambda: ["text/plain", "application/json"], min_length=1, max_length=MAX_ITEMS
    )
    output_modes: list[MediaType] = Field(
        default_factory=lambda: ["text/plain", "application/json"], min_length=1, max_length=MAX_ITEMS
    )
    examples: list[Annotated[str, Field(max_length=MAX_DESCRIPTION)]] = Field(
        default_factory=list, max_length=MAX_ITEMS
    )
    reply: ReplyMode = "task"


class FlowSpec(Contract):
    """A flow without its name: the spec of a Flow resource, and the rest of an entry in flows.yaml."""

    entrypoint: Entrypoint
    route_next: list[RouteActor] = Field(default_factory=list, max_length=MAX_ROUTE)
    description: str = Field(default="", max_length=MAX_DESCRIPTION)
    timeout: Timeout | None = Field(default=None, description="seconds until a call is overdue")
    max_pause: MaxPause | None = Field(default=None, description="seconds that a question waits for its answer")
    mcp: McpExposure | None = None
    a2a: A2aExposure | None = None
    scopes: list[Scope] = Field(default_factory=list, max_length=MAX_ITEMS)
    tags: list[SetName] = Field(default_factory=list, max_length=MAX_ITEMS)

    @field_validator("mcp", "a2a", mode="before")
    @classmethod
    def _null_is_a_mistake(cls, value: Any, info: Any) -> Any:
        """In YAML, `mcp:` with nothing after it is null. Its author meant to expose the flow, but null would not."""
        if value is None:
            raise ValueError(
                f"expected an object; write `{info.field_name}: {{}}` to expose the flow with defaults, "
                "or leave the line out"
            )
        return value

    @field_validator("route_next", "scopes", "tags", mode="before")
    @classmethod
    def _nothing_is_an_empty_list(cls, value: Any) -> Any:
        return [] if value is None else value

    @field_validator("description", mode="before")
    @classmethod
    def _nothing_is_no_description(cls, value: Any) -> Any:
        return "" if value is None else value

    @property
    def actors(self) -> tuple[str, ...]:
        """The whole route, first actor first."""
        return (self.entrypoint, *self.route_next)

    @property
    def is_tool(self) -> bool:
        """Whether it is an MCP tool, callable over REST too."""
        return self.mcp is not None and self.mcp.tool

    @property
    def exposed(self) -> bool:
        """Whether some protocol offers it in some form."""
        mcp = self.mcp
        return self.a2a is not None or (mcp is not None and (mcp.tool or bool(mcp.prompt) or bool(mcp.resource)))

    def document(self) -> dict[str, Any]:
        """As plain JSON in camelCase, without unset fields. This form is sent to pods and reads back equal."""
        return {
            key: value.model_dump(by_alias=True, exclude_unset=True) if isinstance(value, Contract) else value
            for key, value in (
                (camel(name), getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set
            )
            if value is not None
        }


class Flow(FlowSpec):
    """One entry of flows.yaml."""

    name: FlowName

    @model_validator(mode="after")
    def _a_skill_has_a_path_of_its_own(self) -> Self:
        if self.a2a is not None and self.name in A2A_PATHS:
            raise ValueError(f"a2a: expected another name of a skill: /a2a/{self.name} is a path of the protocol")
        return self

    @property
    def prompt_name(self) -> str | None:
        """The name of its prompt; None if it is none."""
        return None if self.mcp is None or self.mcp.prompt is None else self.mcp.prompt.name or self.name

    @property
    def offers(self) -> tuple[str, ...]:
        """What it offers under names of its own, in words: no other flow may offer the same."""
        resource = None if self.mcp is None else self.mcp.resource
        prompt = self.prompt_name
        named = () if prompt is None else (f"prompt {prompt}",)
        return named if resource is None else (*named, f"resource {resource.address}")
