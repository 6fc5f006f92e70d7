"""A flow's result as a tool's result: content blocks unchanged, anything else as text and, if the revision allows, as
structuredContent. JSON is inserted unchanged, so that no integer is rounded.

Nothing of HTTP is imported, because the other process renders results of many values.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds import jsontext
from asya_crds.violation import Violation
from asya_gateway.domain.task import JsonText
from asya_gateway.domain.text import shortened
from asya_gateway.protocols.mcp.content import tool_result
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.versions import Revision
from asya_schemas.compiling import compile_schema

TASK_KEY = "sh.asya/task"
"""Our key in `_meta`, with our reversed domain as the specification requires (basic, "_meta")."""
MOST_VIOLATIONS = 100
LONGEST_VIOLATION = 500
NOTHING_STRUCTURED = (Violation("", "there is no structured result"),)


class Returned:
    """A stored result. `text` is its JSON; `promised`: whether the client was shown an outputSchema, so that null is a
    structured result like any other."""

    def __init__(self, text: JsonText, revision: Revision, *, promised: bool = False) -> None:
        self.text, self._revision, self._promised = text, revision, promised
        self._raw = tool_result(text, revision)

    def structured_value(self) -> tuple[Any, ...] | None:
        """The value to check against the tool's outputSchema, in a tuple that is empty if there is none. None instead
        of a tuple if the flow itself returned an error, which is not checked."""
        raw = self._raw
        if raw is None:
            return (jsontext.loads(self.text, max_depth=2 * jsontext.MAX_DEPTH),)
        if raw.get("isError") is True:
            return None
        value = raw.get("structuredContent")
        return () if value is None and not self._shows_null("structuredContent" in raw) else (value,)

    def _shows_null(self, given: bool) -> bool:
        return given and self._promised and self._revision.any_structured

    def result(self, task_id: str) -> Result:
        """The tool's result."""
        text, raw, meta = self.text, self._raw, succeeded_meta(task_id)
        if raw is not None:
            own = raw.get("_meta")
            return Result({**raw, "_meta": {**(own if isinstance(own, Mapping) else {}), **meta}})
        shown_text = jsontext.loads(text) if text.startswith('"') else text
        fields: dict[str, Any] = {"content": [text_block(shown_text)], "isError": False, "_meta": meta}
        return Result(fields, structured(text, self._revision, null=self._shows_null(True)))

    def broken(self, task_id: str, violations: Sequence[Violation]) -> Result:
        """An error with the violations and, because the work was done, the result itself. It is not structured, because
        clients refuse a structured result that breaks its schema, together with everything beside it."""
        head = "The flow's result does not match the tool's output schema:"
        blocks = [
            text_block("\n".join([head, *violation_lines(violations), "The result:"])),
            text_block(self.text),
        ]
        return Result({"content": blocks, "isError": True, "_meta": succeeded_meta(task_id)})


def made_elsewhere(
    task_id: str, text: JsonText, revision: str, schema: dict[str, Any] | None, meta: dict[str, Any]
) -> tuple[JsonText, str | None]:
    """Runs in the other process: the text of the result object with further members of `_meta`, and its first text if
    it is an error."""
    known = Revision(revision)
    returned = Returned(text, known, promised=schema is not None)
    found = None if schema is None else returned.structured_value()
    violations: Sequence[Violation] = ()
    if schema is not None and found is not None:
        violations = compile_schema(schema, known_good=True)(*found) if found else NOTHING_STRUCTURED
    result = returned.broken(task_id, violations) if violations else returned.result(task_id)
    result = result.with_meta(meta)
    return result.text(known), result.error_text


def structured(text: JsonText, revision: Revision, *, null: bool = False) -> dict[str, JsonText | None]:
    """The member structuredContent for a value: an object in every revision that has it, any value since 2026-07-28.
    Revisions before get other values wrapped as {"result": …}. Without `null`, null is left out, because it would be
    read as absent."""
    if not revision.structured or (text == "null" and not null):
        return {}
    if text.startswith("{") or revision.any_structured:
        return {"structuredContent": text}
    return {"structuredContent": f'{{"result":{text}}}'}


def violation_lines(violations: Sequence[Violation]) -> list[str]:
    """Violations for a model, one on each line, limited to a useful number."""
    lines = [_line(violation) for violation in violations[:MOST_VIOLATIONS]]
    more = len(violations) - len(lines)
    return [*lines, f"- and {more} more"] if more else lines


def _line(violation: Violation) -> str:
    return f"- {shortened(violation.path or '/', LONGEST_VIOLATION)}: {shortened(violation.message, LONGEST_VIOLATION)}"


def text_block(text: str) -> dict[str, Any]:
    """A TextContent block."""
    return {"type": "text", "text": text}


def succeeded_meta(task_id: str) -> dict[str, Any]:
    """The metadata about the task of an answer."""
    return {TASK_KEY: {"task_id": task_id, "status": "succeeded"}}
