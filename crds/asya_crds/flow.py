"""A flow: a named pipeline of actors and how it is exposed, the same words in flows.yaml and in a Flow resource."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from asya_crds.durations import Duration
from asya_crds.naming import CREW, check_actor_name, check_flow_name

ActorName = Annotated[str, AfterValidator(check_actor_name)]
FlowName = Annotated[str, AfterValidator(check_flow_name)]


class Contract(BaseModel):
    """Shared habits of everything users write: both spellings are read, camelCase is written, typos are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class McpExposure(Contract):
    """Present: the flow is an MCP tool (and callable over REST)."""

    input_schema: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})
    output_schema: dict[str, Any] | None = None
    progress: bool = True
    annotations: dict[str, Any] | None = None
    title: str | None = None

    @field_validator("input_schema", mode="before")
    @classmethod
    def _accept_flat_parameters(cls, value: Any) -> Any:
        """Older files write `{param: {type, required: true}}`; they are read as the object schema they mean."""
        if value is None:
            return {"type": "object"}
        if not isinstance(value, dict) or not value or _is_schema(value):
            return value
        required = [name for name, part in value.items() if isinstance(part, dict) and part.get("required") is True]
        properties = {
            name: {key: item for key, item in part.items() if key != "required"} if isinstance(part, dict) else part
            for name, part in value.items()
        }
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}

    @model_validator(mode="after")
    def _root_is_an_object(self) -> Self:
        if self.input_schema.get("type") != "object":
            raise ValueError('inputSchema: expected a JSON Schema with "type": "object" at its root')
        return self


_SCHEMA_WORDS = frozenset({"type", "properties", "$schema", "$ref", "allOf", "anyOf", "oneOf", "required", "$defs"})


def _is_schema(value: dict[str, Any]) -> bool:
    if isinstance(value.get("type"), str) or "$schema" in value:
        return True
    return not all(isinstance(part, dict) and "type" in part for part in value.values()) or bool(
        _SCHEMA_WORDS & value.keys() - {"type", "required"}
    )


class A2aExposure(Contract):
    """Present: the flow is an A2A skill."""

    tags: list[str] = Field(default_factory=lambda: ["asya"])
    input_modes: list[str] = Field(default_factory=lambda: ["text/plain", "application/json"])
    output_modes: list[str] = Field(default_factory=lambda: ["text/plain", "application/json"])
    examples: list[str] = Field(default_factory=list)


class FlowSpec(Contract):
    """What a flow is, without its name: the spec of a Flow resource, and the rest of an entry in flows.yaml."""

    entrypoint: ActorName
    route_next: list[ActorName] = Field(default_factory=list, max_length=64)
    description: str = Field(default="", max_length=4096)
    timeout: Duration | None = Field(default=None, description="seconds until a call is overdue")
    mcp: McpExposure | None = None
    a2a: A2aExposure | None = None
    scopes: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_mistake(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in ("mcp", "a2a"):
                if key in value and value[key] is None:
                    raise ValueError(f"{key}: expected an object; write `{key}: {{}}` to expose with defaults")
        return value

    @model_validator(mode="after")
    def _route_ends_by_itself(self) -> Self:
        for actor in (self.entrypoint, *self.route_next):
            if actor in CREW[:2]:
                raise ValueError(f"routeNext: {actor} is reached at the end of every route and is never named in one")
        return self

    @property
    def actors(self) -> tuple[str, ...]:
        """The whole route, first actor first."""
        return (self.entrypoint, *self.route_next)


class Flow(FlowSpec):
    """One entry of flows.yaml."""

    name: FlowName = Field(validation_alias=AliasChoices("name"))


class FlowsFile(Contract):
    """The whole of flows.yaml: `flows: [...]`."""

    flows: list[Flow] = Field(default_factory=list)
    version: Literal[1] = 1
