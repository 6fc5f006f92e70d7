"""An input of a flow as a request of MCP, and what a client must have declared to be asked it."""

from collections.abc import Iterable, Mapping
from typing import Any

from asya_crds.answers import InputMethod
from asya_crds.rounds.asked import AskedInput, Elicitation, Sampling
from asya_crds.rounds.quoting import filled_text, filled_url
from asya_gateway.domain.pause import Input
from asya_gateway.protocols.mcp.forms import Asker, CannotAsk, InputRequest, request_of

LONGEST_NOTE = 500
"""Characters of the reason why an answer was not taken."""


def asked_request(key: str, asked: AskedInput, values: Mapping[str, Any], asker: Asker, note: str) -> InputRequest:
    """The request in the client's revision, with the values that its texts quote. `note` says to the person why it is
    asked again. Raises CannotAsk."""
    return request_of(input_of(key, asked, values, note), asker, elicitation=key)


def can_ask(asked: AskedInput, asker: Asker) -> bool:
    """Whether the client can be asked this (patterns/mrtr: "Servers MUST NOT send an inputRequests that the client has
    not declared support for")."""
    try:
        asked_request("", asked, {}, asker, "")
    except CannotAsk:
        return False
    return True


def required_capabilities(inputs: Iterable[AskedInput], asker: Asker) -> dict[str, Any]:
    """A ClientCapabilities object with which a client could be asked all of these that are offered here."""
    required: dict[str, Any] = {}
    for asked in inputs:
        if asked.elicitation is not None:
            if asked.elicitation.url is not None and not asker.urls:
                continue
            required.setdefault("elicitation", {})["form" if asked.elicitation.url is None else "url"] = {}
        else:
            required["sampling" if asked.sampling is not None else "roots"] = {}
    return required


def input_of(key: str, asked: AskedInput, values: Mapping[str, Any], note: str = "") -> Input:
    """The same input as a pause would ask it."""
    if asked.elicitation is not None:
        return Input(key, InputMethod.ELICITATION, _elicitation(asked.elicitation, values, note))
    if asked.sampling is not None:
        return Input(key, InputMethod.SAMPLING, _sampling(asked.sampling, values))
    return Input(key, InputMethod.ROOTS, {})


def with_note(request: InputRequest, note: str) -> InputRequest:
    """The same request, which says to the person why it is asked again."""
    params = request.get("params", {})
    if not note or "message" not in params:
        return request
    return {**request, "params": {**params, "message": _noted(params["message"], note)}}


def _noted(message: str, note: str) -> str:
    return f"{message}\n\n({note[:LONGEST_NOTE]})" if note else message


def _elicitation(asked: Elicitation, values: Mapping[str, Any], note: str) -> dict[str, Any]:
    message = _noted(filled_text(asked.message, values), note)
    if asked.url is not None:
        return {"mode": "url", "message": message, "url": filled_url(asked.url, values)}
    return {"mode": "form", "message": message, "requestedSchema": asked.requested_schema}


def _sampling(asked: Sampling, values: Mapping[str, Any]) -> dict[str, Any]:
    params = asked.model_dump(by_alias=True, exclude_none=True)
    if asked.system_prompt is not None:
        params["systemPrompt"] = filled_text(asked.system_prompt, values)
    for message in params["messages"]:
        if message["content"]["type"] == "text":
            message["content"]["text"] = filled_text(message["content"]["text"], values)
    return params
