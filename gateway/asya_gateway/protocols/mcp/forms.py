"""The inputs of a waiting task as requests to the client (client/elicitation, sampling, roots), per revision. Pure.

A question that a form can carry is asked by a form; another one by its pause's URL, if the client opens URLs; what
neither can carry is not asked, and a note says where it is answered. Authorizations are asked by URL only, because
forms must not be used for secrets (client/elicitation, "Security Considerations").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.answers import InputMethod
from asya_crds.status import TaskStatus
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.requested_schema import NotAForm, requested_schema
from asya_gateway.protocols.mcp.sampling import NotSampling, sampling_params
from asya_gateway.protocols.mcp.versions import Revision

InputRequest = dict[str, Any]
"""{method, params}."""


class CannotAsk(ValueError):
    """This client cannot be asked this. The text says why."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What a task asks of this client: `requests` by key, and a `note` for the person about everything else that is
    open, None if nothing is."""

    requests: Mapping[str, InputRequest]
    note: str | None


@dataclass(frozen=True, slots=True)
class Asker:
    """To whom inputs are rendered. `urls`: whether URLs are offered at all; they are not without a public URL of this
    gateway, to which whatever stands behind them would have to come back."""

    revision: Revision
    client: ClientCapabilities
    urls: bool


def asks_of(task: TaskHead, surface: str, revision: Revision, client: ClientCapabilities, public_url: str) -> Asks:
    """What the open inputs of a waiting task are for this client. Those that it has set aside on this surface are only
    in the note."""
    pause = task.pause
    if pause is None or not task.status.waiting:
        return Asks({}, None)
    asker = Asker(revision, client, urls=bool(public_url))
    requests, left = {}, []
    for asked in pause.open:
        try:
            if surface in asked.set_aside:
                raise CannotAsk("set aside")
            requests[asked.key] = task_request(task, pause, asked, asker)
        except CannotAsk:
            left.append(asked)
    return Asks(requests, note_of(task, pause, left, public_url) if left else None)


def task_request(task: TaskHead, pause: Pause, asked: Input, asker: Asker) -> InputRequest:
    """An input of this pause as a request. Raises CannotAsk."""
    here = elicitation_id(task.id, asked.key)
    authorizes = task.status is TaskStatus.AUTH_REQUIRED and pause.url is not None and not asked.asks_at_url
    if authorizes and asked.method is InputMethod.ELICITATION:
        return _at_url(asked.params["message"] or _DEFAULT_MESSAGE, pause.url, here, asker)
    try:
        return request_of(asked, asker, elicitation=here)
    except CannotAsk:
        if pause.url is None or asked.method is not InputMethod.ELICITATION or asked.asks_at_url:
            raise
        return _at_url(asked.params["message"] or _DEFAULT_MESSAGE, pause.url, here, asker)


def request_of(asked: Input, asker: Asker, *, elicitation: str) -> InputRequest:
    """An input as a request, without a pause to fall back on. `elicitation` is its id where revisions need one. Raises
    CannotAsk."""
    match asked.method:
        case InputMethod.SAMPLING:
            if not asker.client.sampling:
                raise CannotAsk("the client has not declared sampling")
            try:
                params = sampling_params(asked.params, asker.revision, asker.client)
            except NotSampling as error:
                raise CannotAsk(str(error)) from None
            return {"method": asked.method.value, "params": params}
        case InputMethod.ROOTS:
            if not asker.client.roots:
                raise CannotAsk("the client has not declared roots")
            return {"method": asked.method.value}
        case InputMethod.ELICITATION if asked.asks_at_url:
            given = asked.params.get("elicitationId")
            name = given if isinstance(given, str) else elicitation
            return _at_url(asked.params["message"], asked.params["url"], name, asker)
        case InputMethod.ELICITATION:
            return _form(asked, asker)
        case _:
            raise CannotAsk(f"{asked.method} is not known here")


_DEFAULT_MESSAGE = "The task waits for your answer"


def _form(asked: Input, asker: Asker) -> InputRequest:
    if asker.revision < Revision.JUNE_2025 or not asker.client.form:
        raise CannotAsk("the client has not declared elicitation by forms")
    try:
        schema = requested_schema(asked.params["requestedSchema"], asker.revision)
    except NotAForm as error:
        raise CannotAsk(str(error)) from None
    params = {"message": asked.params["message"] or _DEFAULT_MESSAGE, "requestedSchema": schema}
    # The member is of 2025-11-25, when there began to be two modes.
    mode = {"mode": "form"} if asker.revision >= Revision.NOVEMBER_2025 else {}
    return {"method": asked.method.value, "params": {**mode, **params}}


def _at_url(message: str, url: str | None, elicitation: str, asker: Asker) -> InputRequest:
    if asker.revision < Revision.NOVEMBER_2025 or not asker.client.url or not asker.urls or url is None:
        raise CannotAsk("the client has not declared elicitation by URLs")
    params = {"mode": "url", "message": message, "url": url}
    if asker.revision is Revision.NOVEMBER_2025:
        params["elicitationId"] = elicitation
    return {"method": InputMethod.ELICITATION.value, "params": params}


def elicitation_id(task_id: str, key: str) -> str:
    """The elicitationId of an input (2025-11-25): "unique within the context of the server", opaque to clients."""
    return f"{task_id}/{key}"


def note_of(task: TaskHead, pause: Pause, left: "list[Input]", public_url: str) -> str:
    """Where a person answers the inputs that this client was not asked."""
    prompt = pause.prompt or next((text for each in left if (text := each.params.get("message"))), _DEFAULT_MESSAGE)
    urls = [each.params["url"] for each in left if each.asks_at_url]
    if pause.url is not None and (pause.plain or not urls):
        urls.append(pause.url)
    if urls:
        return f"{prompt}: {' '.join(dict.fromkeys(urls))}"
    key = "" if pause.plain else f'"key": "{left[0].key}", '
    return f'{prompt} (answer with POST {Links(task.id, public_url).resume} and the body {{{key}"answer": …}})'
