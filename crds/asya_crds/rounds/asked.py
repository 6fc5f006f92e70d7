"""The fields of `mcp.input`: rounds of inputs, each of which is one request of MCP to the client."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from asya_crds import jsontext
from asya_crds.contract import Contract
from asya_crds.links import check_link
from asya_crds.rounds.forms import check_form_schema
from asya_crds.rounds.quoting import QuotedPath, quoted_paths

MOST_ROUNDS = 8
MOST_INPUTS = 8
"""Inputs of one round."""
MOST_JSON = 64 * 1024
"""Characters of all rounds' JSON."""
LONGEST_TEXT = 4096
MOST_MESSAGES = 32
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


OnDecline = Literal["fail", "wait", "continue"]
"""What happens if the person declines or closes what is asked: the call is refused; it is asked again; or the flow
starts and finds the action in the answer."""


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("expected a key of 1 to 64 letters, digits, '_' and '-'")
    return key


def _check_count(inputs: dict[str, Any]) -> dict[str, Any]:
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise ValueError(f"expected a round of 1 to {MOST_INPUTS} inputs by their keys")
    return inputs


def _check_quotes(text: str) -> str:
    for _ in quoted_paths(text):
        pass
    return text


QuotingText = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_check_quotes)]
InputKey = Annotated[str, AfterValidator(_check_key)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Elicitation(Contract):
    """elicitation/create: a form, or a URL that the person opens (schema ElicitRequestParams)."""

    message: QuotingText
    requested_schema: dict[str, Any] | None = None
    url: Annotated[str, AfterValidator(_check_quotes)] | None = None

    @field_validator("requested_schema")
    @classmethod
    def _is_a_form(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            check_form_schema(value)
        return value

    @field_validator("url")
    @classmethod
    def _stays_at_its_host(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(check_link(value))
        if "$" in parts.netloc:
            raise ValueError("expected a host without quoted arguments: they would choose where the person is sent")
        return value

    @model_validator(mode="after")
    def _asks_one_way(self) -> Self:
        if (self.requested_schema is None) == (self.url is None):
            raise ValueError("expected requestedSchema (a form) or url, one of them")
        return self


class TextPart(Contract):
    """A text of a message; it may quote arguments."""

    type: Literal["text"]
    text: QuotingText


class MediaPart(Contract):
    """An image or a sound of a message, in base64."""

    type: Literal["image", "audio"]
    data: Annotated[str, Field(min_length=1)]
    mime_type: Annotated[str, Field(min_length=1, max_length=255)]


class SampledMessage(Contract):
    """One message of a conversation. It has one block, since revisions before 2025-11-25 know no more."""

    role: Literal["user", "assistant"]
    content: Annotated[TextPart | MediaPart, Field(discriminator="type")]


class ModelHint(Contract):
    """A model's name, or a part of one."""

    name: Annotated[str, Field(min_length=1, max_length=255)]


class ModelPreferences(Contract):
    """What the flow prefers in a model; the client decides."""

    hints: list[ModelHint] | None = Field(default=None, max_length=16)
    cost_priority: Fraction | None = None
    speed_priority: Fraction | None = None
    intelligence_priority: Fraction | None = None


class Sampling(Contract):
    """sampling/createMessage: the client's model answers (schema CreateMessageRequestParams, without the parts that
    need more than the capability `sampling`: tools and context of servers)."""

    messages: list[SampledMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int = Field(ge=1, le=1_000_000)
    system_prompt: QuotingText | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stop_sequences: list[Annotated[str, Field(min_length=1, max_length=255)]] | None = Field(
        default=None, max_length=16
    )
    model_preferences: ModelPreferences | None = None
    metadata: dict[str, Any] | None = None


class Roots(Contract):
    """roots/list: the folders that the client works in."""


class AskedInput(Contract):
    """One input: exactly one of the three kinds."""

    elicitation: Elicitation | None = None
    sampling: Sampling | None = None
    roots: Roots | None = None
    on_decline: OnDecline = "fail"

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if sum(each is not None for each in (self.elicitation, self.sampling, self.roots)) != 1:
            raise ValueError("expected one of elicitation, sampling, roots (`roots: {}`)")
        return self

    def texts(self) -> Iterator[str]:
        """The texts that may quote arguments."""
        if self.elicitation is not None:
            yield self.elicitation.message
            yield self.elicitation.url or ""
        if self.sampling is not None:
            yield self.sampling.system_prompt or ""
            for message in self.sampling.messages:
                if isinstance(message.content, TextPart):
                    yield message.content.text


Round = Annotated[dict[InputKey, AskedInput], AfterValidator(_check_count)]


def check_rounds(rounds: Sequence[dict[str, AskedInput]], input_schema: dict[str, Any], key: str) -> None:
    """The rules for all rounds together. Raises ValueError naming the input."""
    properties = input_schema.get("properties")
    arguments = set(properties) if isinstance(properties, dict) else set()
    if key in arguments:
        raise ValueError(f"inputKey: expected a name that inputSchema does not use, got {key}")
    documents = [{name: each.model_dump(mode="json", exclude_unset=True) for name, each in r.items()} for r in rounds]
    if (size := len(jsontext.dumps(documents))) > MOST_JSON:
        raise ValueError(f"input: expected at most {MOST_JSON} characters of JSON, got {size}")
    earlier: set[str] = set()
    for number, inputs in enumerate(rounds):
        for name, asked in inputs.items():
            where = f"input.{number}.{name}"
            if name in earlier:
                raise ValueError(f"{where}: expected a key that no earlier round has")
            for path in (path for text in asked.texts() for path in quoted_paths(text)):
                _check_known(path, arguments, earlier, key, where)
        earlier |= inputs.keys()


def _check_known(path: QuotedPath, arguments: set[str], earlier: set[str], key: str, where: str) -> None:
    if path[0] == key:
        if len(path) == 1 or path[1] not in earlier:
            raise ValueError(f"{where}: ${{{'.'.join(path)}}} quotes no input of an earlier round")
    elif path[0] not in arguments:
        raise ValueError(f"{where}: ${{{'.'.join(path)}}} quotes no argument of inputSchema.properties")
