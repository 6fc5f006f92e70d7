"""What a client answers to an input: a result of elicitation/create, sampling/createMessage or roots/list, read as an
action and an answer. Pure. A value of the wrong JSON type is never accepted."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_crds.answers import GIVEN, AnswerAction, InputMethod
from asya_gateway.domain.pause import Input
from asya_gateway.protocols.mcp.sampling import NotSampling, sampled
from asya_gateway.protocols.mcp.versions import Revision

USER_REJECTED = -1
"""The error code of a client whose person refused (client/sampling, "Error Handling")."""


class InvalidResponse(ValueError):
    """The response is not a result of its request. The text names the member and what was expected."""


class GivenAnswer(NamedTuple):
    """An action for Tasks.answer, with its answer; None unless the action is accept."""

    action: AnswerAction
    answer: Any = None


def read_response(asked: Input, value: Any, revision: Revision, *, url: str | None = None) -> GivenAnswer:
    """The answer in a result. `url` is the pause's own: a result without content says that the person went there, and
    the answer comes from there. Raises InvalidResponse."""
    if not isinstance(value, Mapping):
        raise InvalidResponse("expected an object")
    match asked.method:
        case InputMethod.SAMPLING:
            try:
                return GivenAnswer(AnswerAction.ACCEPT, sampled(value, revision))
            except NotSampling as error:
                raise InvalidResponse(str(error)) from None
        case InputMethod.ROOTS:
            return GivenAnswer(AnswerAction.ACCEPT, {"roots": _roots(value.get("roots"))})
        case _:
            return _elicited(asked, value, url)


def refused(code: int) -> GivenAnswer:
    """What a JSON-RPC error in place of a result means: the person refused, or the client could not."""
    return GivenAnswer(AnswerAction.DECLINE if code == USER_REJECTED else AnswerAction.CANCEL)


def _elicited(asked: Input, value: Mapping[str, Any], url: str | None) -> GivenAnswer:
    action = value.get("action")
    if not isinstance(action, str) or action not in GIVEN:
        raise InvalidResponse(f"action: expected one of {', '.join(GIVEN)}")
    content = _content(value["content"]) if "content" in value else None
    if action != AnswerAction.ACCEPT:
        return GivenAnswer(AnswerAction(action))
    if asked.asks_at_url:
        return GivenAnswer(AnswerAction.ACCEPT)
    if content is None:
        if url is None:
            raise InvalidResponse("content: expected an object")
        return GivenAnswer(AnswerAction.CONSENT)
    return GivenAnswer(AnswerAction.ACCEPT, content)


def _content(content: Any) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InvalidResponse("content: expected an object")
    for name, each in content.items():
        if not _is_primitive(each):
            raise InvalidResponse(f"content.{name[:80]}: expected a string, number, boolean or list of strings")
    return dict(content)


def _is_primitive(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float)


def _roots(roots: Any) -> list[dict[str, str]]:
    if not isinstance(roots, list):
        raise InvalidResponse("roots: expected a list")
    for number, root in enumerate(roots):
        if not isinstance(root, Mapping) or not _is_file(root.get("uri")) or not isinstance(root.get("name", ""), str):
            raise InvalidResponse(f"roots[{number}]: expected {{uri: file://…, name?}}")
    return [{name: root[name] for name in ("uri", "name") if name in root} for root in roots]


def _is_file(uri: Any) -> bool:
    return isinstance(uri, str) and uri.startswith("file://")
