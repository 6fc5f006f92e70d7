"""Questions and answers: what callers see of a pause, and the envelope that carries the answer back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from asya_crds import jsontext
from asya_crds.answers import InputMethod
from asya_crds.envelope import Envelope, Route, format_time
from asya_crds.incarnations import resume_id
from asya_crds.input_messages import InputMessage, check_params
from asya_crds.message import InvalidMessage, read
from asya_crds.naming import (
    HEADER_A2A_CONTEXT,
    HEADER_A2A_TASK,
    HEADER_GATEWAY_URL,
    HEADER_PAUSE_ID,
    HEADER_RESUME_TASK,
    RESUME,
)
from asya_crds.pause_messages import QuestionMessage
from asya_gateway.domain.answers import PausePoint
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.pause import Input, Pause, schema_of_inputs
from asya_gateway.domain.task import TaskHead

LARGEST_INPUTS = 256 * 1024
"""Most bytes of the inputs of a pause, as JSON."""


def read_pause(metadata: Any, pause_id: str) -> Pause:
    """The pause that an actor's `pause_metadata` describes: {prompt, fields[], pause_id?, schema?, data?, inputs?,
    url?, on_decline?}.

    `fields[]` ({name, type, prompt?, payload_key?, required?, default?, options?}) becomes the JSON Schema that callers
    see, unless the actor sends a schema. Raises InvalidInput naming the field.
    """
    said = read_question(metadata)
    if said.inputs and (said.fields_ or said.answer_schema is not None):
        raise InvalidInput("expected either inputs, or fields and a schema", field="pause_metadata.inputs")
    inputs = tuple(_input(key, asked) for key, asked in (said.inputs or {}).items())
    if len(jsontext.dumps([each.as_dict() for each in inputs]).encode("utf-8", "surrogatepass")) > LARGEST_INPUTS:
        raise InvalidInput(f"expected inputs of at most {LARGEST_INPUTS} bytes", field="pause_metadata.inputs")
    fields = metadata.get("fields") or []
    return Pause(
        pause_id,
        said.prompt or _first_message(inputs),
        said.answer_schema or (schema_of_inputs(inputs) if inputs else schema_of(fields)),
        fields,
        said.data,
        inputs,
        said.url,
        said.on_decline,
    )


def read_question(metadata: Any) -> QuestionMessage:
    """The parts of a `pause_metadata`. Raises InvalidInput naming the field."""
    if not isinstance(metadata, Mapping):
        raise InvalidInput("expected an object {prompt, fields}", field="pause_metadata")
    try:
        return read(QuestionMessage, metadata)
    except InvalidMessage as error:
        raise InvalidInput(str(error), field=".".join(filter(None, ("pause_metadata", error.field)))) from None


def _input(key: str, asked: InputMessage) -> Input:
    try:
        check_params(asked.method, asked.params)
    except InvalidMessage as error:
        field = ".".join(filter(None, (f"pause_metadata.inputs.{key}.params", error.field)))
        raise InvalidInput(str(error), field=field) from None
    return Input(key, asked.method, asked.params, asked.payload_key)


def _first_message(inputs: Sequence[Input]) -> str:
    """What stands for the prompt of a pause without one."""
    messages = (each.params["message"] for each in inputs if each.method is InputMethod.ELICITATION)
    return next(messages, "")


def schema_of(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an answer that fills these fields."""
    properties = {}
    for field in fields:
        part: dict[str, Any] = {"type": field.get("type", "string")}
        if field.get("prompt"):
            part["description"] = str(field["prompt"])
        if field.get("options"):
            part["enum"] = field["options"]
        if field.get("default") is not None:
            part["default"] = field["default"]
        properties[field["name"]] = part
    required = [field["name"] for field in fields if field.get("required", True) and field.get("default") is None]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def thawed_deadline(task: TaskHead, now: datetime) -> datetime | None:
    """The deadline after the pause: now plus the time that was left when the clock stopped."""
    return None if task.remaining is None else now + timedelta(seconds=task.remaining)


def resume_envelope(point: PausePoint, mesh_url: str, now: datetime) -> Envelope:
    """The envelope that carries an answer to x-resume (docs/protocols/mesh.md, "Pause and resume"), without the parts
    that may be large and stay text: the payload, which is the answer, and the header with the checkpoint for our
    x-resume.

    It does not contain the question, because a sidecar treats a question in any envelope as a new pause.
    """
    task, pause = point.task, point.task.pause
    assert pause is not None
    headers: dict[str, Any] = {
        HEADER_GATEWAY_URL: mesh_url,
        HEADER_RESUME_TASK: point.reported_as,
        HEADER_A2A_TASK: task.id,
        HEADER_PAUSE_ID: pause.id,
    }
    if task.context_id is not None:
        headers[HEADER_A2A_CONTEXT] = task.context_id
    deadline = thawed_deadline(task, now)
    return Envelope(
        id=resume_id(task.id, point.incarnation),
        route=Route((), RESUME, ()),
        headers=headers,
        status=initial_status(RESUME, now, deadline),
        payload=None,
    )


def initial_status(actor: str, now: datetime, deadline: datetime | None) -> dict[str, Any]:
    """The initial `status` of an envelope."""
    stamp = format_time(now)
    status: dict[str, Any] = {
        "phase": "pending",
        "actor": actor,
        "attempt": 1,
        "max_attempts": 1,
        "created_at": stamp,
        "updated_at": stamp,
    }
    if deadline is not None:
        status["deadline_at"] = format_time(deadline)
    return status
