"""What a waiting task asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pause:
    """What a waiting task asks for. `fields` is what the actor sent ([{name, type, prompt?, payload_key?,
    required?, default?, options?}]), `schema` the JSON Schema that callers see."""

    id: str
    prompt: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]
    data: Any = None

    def as_dict(self) -> dict[str, Any]:
        """The wire form."""
        data = {} if self.data is None else {"data": self.data}
        return {"id": self.id, "prompt": self.prompt, "schema": self.schema, "fields": self.fields, **data}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Pause":
        """Read what as_dict wrote. Raises KeyError, TypeError."""
        return cls(value["id"], value["prompt"], value["schema"], value["fields"], value.get("data"))
