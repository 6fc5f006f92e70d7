"""What a waiting task asks, as text with the commands that answer it, and the answer as it is sent."""

from typing import TYPE_CHECKING, Any

from asya_cli.options import follow_up
from asya_crds.answers import AnswerAction, InputMethod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asya_crds.call_messages import AnswerJson
    from asya_crds.task_json import InputJson, PauseJson, TaskSummaryJson


def pause_text(task: "TaskSummaryJson") -> str:
    """The question a task waits on, and the commands that answer it; optional parts are in brackets."""
    pause = task["pause"]
    if pause is None:
        return ""
    lines = [pause.get("prompt") or "waits for an answer", *([pause["url"]] if pause.get("url") else [])]
    command = follow_up("task", "answer", task["id"])
    inputs = pause.get("inputs")
    if not inputs:
        return "\n".join([*lines, " ".join([command, *_fields(pause.get("fields"), pause.get("schema"))])])
    for key, asked in inputs.items():
        lines += [f"{key}: {_asks(asked)}", " ".join([command, "--input", key, *_words(asked)])]
    return "\n".join(lines)


def _asks(asked: "InputJson") -> str:
    """What an input asks: a person, a model with these messages, or a client's folders."""
    params = asked.get("params") or {}
    if asked["method"] == InputMethod.SAMPLING:
        return "\n".join(["a model's answer to", *(f"  {line}" for line in _conversation(params))])
    if asked["method"] == InputMethod.ROOTS:
        return 'folders, as {"roots": [{"uri": "file:///…"}]}'
    return " ".join(str(params[name]) for name in ("message", "url") if params.get(name)) or asked["method"]


def _conversation(params: "Mapping[str, Any]") -> "Iterator[str]":
    """The messages for a model (MCP, CreateMessageRequest), each with its role."""
    if params.get("systemPrompt"):
        yield f"system: {params['systemPrompt']}"
    for message in params.get("messages") or ():
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        for block in content if isinstance(content, list) else [content]:
            kind = block.get("type") if isinstance(block, dict) else None
            text = block.get("text") if isinstance(block, dict) and kind == "text" else f"({kind or 'nothing'})"
            yield f"{message.get('role', 'user')}: {text}"


def _words(asked: "InputJson") -> "Sequence[str]":
    """The words after the command that answers an input."""
    params = asked.get("params") or {}
    if asked["method"] != InputMethod.ELICITATION:
        return ["--json", "@FILE"]
    if params.get("mode") == "url":
        return []
    schema = params.get("requestedSchema") or {}
    properties = schema.get("properties") or {}
    return _fields([{"name": name, **_shown(part)} for name, part in properties.items()], schema)


def _shown(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {}
    return {"type": part.get("type", "string"), "options": part.get("enum")}


def _fields(fields: "Sequence[Mapping[str, Any]] | None", schema: "Mapping[str, Any] | None") -> list[str]:
    required = (schema or {}).get("required") or ()
    words = []
    for field in fields or []:
        word = f"{field['name']}=<{'|'.join(map(str, field.get('options') or [field.get('type', 'string')]))}>"
        words.append(word if field["name"] in required else f"[{word}]")
    return words


def answer_of(pause: "PauseJson", words: "Sequence[str]", text: str | None, *, key: str | None) -> "AnswerJson":
    """The answer to an input of the pause from the command line; without a key to the only one. Raises
    UsageProblem."""
    from asya_cli.arguments import read_arguments
    from asya_cli.errors import UsageProblem

    body = addressed(pause, key)
    asked = (pause.get("inputs") or {}).get(body.get("key") or "")
    params = {} if asked is None else asked.get("params") or {}
    if asked is not None and params.get("mode") == "url":
        if words or text is not None:
            raise UsageProblem(f"--input {body['key']}: expected no answer, since it is given at {params.get('url')}")
        return {**body, "action": AnswerAction.ACCEPT}
    schema = pause.get("schema") if asked is None else params.get("requestedSchema")
    return {**body, "answer": read_arguments(words, text, schema or {})}


def addressed(pause: "PauseJson", key: str | None) -> "AnswerJson":
    """The part of an answer that says for which input it is. Raises UsageProblem."""
    from asya_cli.errors import UsageProblem

    inputs = pause.get("inputs")
    if not inputs:
        if key not in (None, pause.get("id")):
            raise UsageProblem(f"--input {key}: the task asks one question, which needs no --input")
        return {}
    names = ", ".join(inputs)
    if key is None and len(inputs) > 1:
        raise UsageProblem(f"expected --input with one of the open inputs: {names}")
    if key is not None and key not in inputs:
        raise UsageProblem(f"--input {key}: expected one of the open inputs: {names}")
    return {"key": next(iter(inputs)) if key is None else key}
