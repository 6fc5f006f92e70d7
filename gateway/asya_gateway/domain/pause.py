"""The question of a waiting task: one form, or several inputs that are answered one by one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from asya_crds.answers import InputMethod, OnDecline
from asya_crds.input_messages import is_url
from asya_crds.task_json import InputJson, PauseJson

ANSWER_ACTION = "answer_action"
"""The member of the payload that tells an actor whether its question was accepted, declined or canceled, if the pause
goes on after a decline."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a pause. `params` are those of the method in MCP; the answer goes to `payload_key` in the payload.
    `set_aside`: the surfaces whose client declined it or went to its URL, while it stays open for the others."""

    key: str
    method: InputMethod
    params: dict[str, Any]
    payload_key: str | None = None
    answered: bool = False
    set_aside: frozenset[str] = frozenset()

    @property
    def asks_at_url(self) -> bool:
        """Whether the actor asks at a URL of its own."""
        return self.method is InputMethod.ELICITATION and is_url(self.params)

    def as_dict(self) -> InputJson:
        """The wire form."""
        found: InputJson = {"method": self.method.value, "params": self.params}
        if self.payload_key is not None:
            found["payload_key"] = self.payload_key
        return found


@dataclass(frozen=True, slots=True)
class Pause:
    """The question of a waiting task. `fields` is what the actor sent ([{name, type, prompt?, payload_key?, required?,
    default?, options?}]), `schema` the JSON Schema that callers see. `inputs` are what the actor asks one by one, open
    and answered ones; empty if it asks one form. `url`: where the person answers, or authorizes something."""

    id: str
    prompt: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]
    data: Any = None
    inputs: tuple[Input, ...] = ()
    url: str | None = None
    on_decline: OnDecline = OnDecline.WAIT
    form_set_aside: frozenset[str] = frozenset()
    """`set_aside` of the one form."""

    @property
    def plain(self) -> bool:
        """Whether it asks one form, whose key is the pause's id."""
        return not self.inputs

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all its inputs."""
        return tuple(each.key for each in self.inputs) or (self.id,)

    @property
    def open(self) -> tuple[Input, ...]:
        """The inputs that wait for an answer. One form is an elicitation with the pause's schema, which may be more
        than a form of MCP can show."""
        if self.inputs:
            return tuple(each for each in self.inputs if not each.answered)
        params = {"message": self.prompt, "requestedSchema": self.schema}
        return (Input(self.id, InputMethod.ELICITATION, params, set_aside=self.form_set_aside),)

    def asks(self, key: str) -> bool:
        """Whether an input of this key waits for an answer."""
        return any(each.key == key for each in self.open)

    def open_on(self, surface: str) -> tuple[Input, ...]:
        """The inputs to ask on this surface: without those that its client has set aside."""
        return tuple(each for each in self.open if surface not in each.set_aside)

    def after(self, answered: Collection[str], aside: Mapping[str, Collection[str]]) -> "Pause":
        """The pause with what has become of its keys."""
        if not answered and not aside:
            return self
        inputs = tuple(
            replace(each, answered=each.key in answered, set_aside=frozenset(aside.get(each.key, ())))
            for each in self.inputs
        )
        return replace(self, inputs=inputs, form_set_aside=frozenset(aside.get(self.id, ())))

    def as_dict(self) -> PauseJson:
        """The wire form, with the open inputs only. A new pause is stored in it."""
        found: PauseJson = {"id": self.id, "prompt": self.prompt, "schema": self.schema, "fields": self.fields}
        if self.inputs:
            found["schema"] = schema_of_inputs(self.open)
            found["inputs"] = {each.key: each.as_dict() for each in self.open}
        if self.data is not None:
            found["data"] = self.data
        if self.url is not None:
            found["url"] = self.url
        if self.on_decline is not OnDecline.WAIT:
            found["on_decline"] = self.on_decline.value
        return found

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Pause":
        """Read what as_dict wrote. Raises KeyError, TypeError."""
        return cls(
            value["id"],
            value["prompt"],
            value["schema"],
            value["fields"],
            value.get("data"),
            tuple(
                Input(key, InputMethod.read(each["method"]), each["params"], each.get("payload_key"))
                for key, each in (value.get("inputs") or {}).items()
            ),
            value.get("url"),
            OnDecline.read(value.get("on_decline") or OnDecline.WAIT),
        )


def schema_of_inputs(inputs: Collection[Input]) -> dict[str, Any]:
    """The JSON Schema of all answers by key. Only a gateway of the previous version takes them at once."""
    keys = [each.key for each in inputs]
    return {"type": "object", "properties": {key: {"type": "object"} for key in keys}, "required": keys}
