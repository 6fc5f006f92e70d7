"""Shared configuration of what users write: flows, Flow resources, and their parts."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def camel(name: str) -> str:
    """The name as it is written in YAML: route_next becomes routeNext, and a2a stays a2a."""
    return to_camel(name) if "_" in name else name


class Contract(BaseModel):
    """Both spellings are read, camelCase is written, unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=camel, validate_by_name=True, validate_by_alias=True
    )
