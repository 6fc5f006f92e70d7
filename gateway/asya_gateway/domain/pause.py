"""The question of a waiting task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.task_json import PauseJson


@dataclass(frozen=True, slots=True)
class Pause:
    """The question of a waiting task. `fields` is what the actor sent ([{name, type, prompt?, payload_key?, required?,
    default?, options?}]), `schema` the JSON Schema that callers see."""

    id: str
    prompt: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]
    data: Any = None

    def as_dict(self) -> PauseJson:
        """The wire form."""
        found: PauseJson = {"id": self.id, "prompt": self.prompt, "schema": self.schema, "fields": self.fields}
        if self.data is not None:
            found["data"] = self.data
        return found

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Pause":
        """Read what as_dict wrote. Raises KeyError, TypeError."""
        return cls(value["id"], value["prompt"], value["schema"], value["fields"], value.get("data"))
