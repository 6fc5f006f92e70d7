"""What a waiting task asks its client, and what the client answers (2026-07-28 and the tasks extension,
`inputRequests` and `inputResponses`)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_crds.answers import AnswerAction, InputMethod
from asya_gateway.domain.errors import Conflict, InvalidArguments, InvalidInput
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.mcp.errors import InvalidParams, shown
from asya_gateway.protocols.mcp.forms import InputRequest, asks_of
from asya_gateway.protocols.mcp.input_responses import GivenAnswer, InvalidResponse, read_response
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.tool_results import violation_lines

SURFACE = "mcp"
"""The surface on which a question was declined or is still open."""


class Asked(NamedTuple):
    """The requests that this client can answer, by key; a text for a person; and whether the task is shown as waiting
    for its client, also if there is no request for it."""

    requests: Mapping[str, InputRequest]
    message: str | None
    waits: bool


def asked_of(context: RequestContext, task: TaskHead) -> Asked:
    """What is asked of the client of this request, which declares its capabilities anew. A client that shows forms
    and cannot show this one keeps waiting, since its person can follow the link in the text; for a client that has
    declared nothing of it, the task is at work elsewhere."""
    client = context.client
    asks = asks_of(task, SURFACE, context.revision, client, context.settings.public_url)
    pause = task.pause
    if pause is None:
        return Asked({}, None, waits=False)
    persons = any(asked.method is InputMethod.ELICITATION for asked in pause.open_on(SURFACE))
    waits = bool(asks.requests) or (persons and (client.form or client.url))
    return Asked(asks.requests, asks.note or pause.prompt or None, waits)


class InputsResult(NamedTuple):
    """What has become of responses: for a person, by key, why content was not taken; and whether somebody has gone to
    the pause's URL, from where the answer comes."""

    unfit: Mapping[str, str]
    consented: bool = False


async def take_responses(context: RequestContext, task: TaskHead, responses: Mapping[str, Any]) -> None:
    """The same for a client that is told of content that breaks its question's schema by an error. Raises InvalidParams
    for that, too, after the other responses were taken."""
    taken = await give_responses(context, task, responses)
    for key, why in taken.unfit.items():
        raise _invalid(key, why)


async def give_responses(context: RequestContext, task: TaskHead, responses: Mapping[str, Any]) -> InputsResult:
    """Answer every open question that the responses name. Others are ignored ("A server SHOULD ignore any
    inputResponses mapped to a key that is not currently outstanding").

    Raises InvalidParams naming the key for a response that is no result of its request, before anything is answered;
    Denied, Unavailable.
    """
    pause, unfit = task.pause, {}
    if pause is None or not task.status.waiting:
        return InputsResult({})
    given = [(asked, _read(context, pause, asked, responses)) for asked in pause.open if asked.key in responses]
    for asked, said in given:
        try:
            await context.tasks.answer(
                task.id,
                context.caller,
                said.answer,
                input_key=asked.key,
                action=said.action,
                pause_id=pause.id,
                surface=SURFACE,
            )
        except InvalidArguments as error:
            lines = "\n".join(violation_lines(error.violations))
            unfit[asked.key] = f"content does not match the requested schema:\n{lines}"
        except InvalidInput as error:
            unfit[asked.key] = error.message
        except Conflict:
            # It was answered elsewhere, or the task has ended, in the meantime.
            continue
    return InputsResult(unfit, any(said.action is AnswerAction.CONSENT for _, said in given))


def _read(context: RequestContext, pause: Pause, asked: Input, responses: Mapping[str, Any]) -> GivenAnswer:
    try:
        return read_response(asked, responses[asked.key], context.revision, url=pause.url)
    except InvalidResponse as error:
        raise _invalid(asked.key, str(error)) from None


def _invalid(key: str, what: str) -> InvalidParams:
    return InvalidParams(f"inputResponses.{shown(key)}: {what}")
