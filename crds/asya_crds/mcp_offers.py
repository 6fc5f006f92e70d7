"""How a flow is offered over MCP beside a tool: as a prompt or a resource; and what is passed on to clients as written:
icons and `_meta`."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator
from typing_extensions import override

from asya_crds import jsontext
from asya_crds.contract import Contract
from asya_crds.naming import check_flow_name
from asya_crds.uri_template import Template, check_template, check_uri

MAX_JSON, MAX_JSON_DEPTH = 16 * 1024, 16
"""Limits of what is passed on unchanged: characters of JSON, and levels of nesting."""
MAX_DESCRIPTION = 4096
MAX_ITEMS = 64
MAX_ICONS, MAX_ICON = 16, 8192
MAX_CHOICES = 1000
LARGEST_SIZE = 2**53 - 1

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+*-]{1,127}/[A-Za-z0-9!#$&^_.+*-]{1,127}(\s*;.{0,200})?")
_MOMENT = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_ICON = re.compile(r"https://[!-~]+|data:image/[!-~]+")
_ICON_SIZE = re.compile(r"any|[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")


def check_media_type(text: str) -> str:
    """Raises ValueError."""
    if not _MEDIA_TYPE.fullmatch(text):
        raise ValueError("expected a media type such as text/plain")
    return text


def check_passed_on(value: dict[str, Any]) -> None:
    """Bounds an object that is passed on to clients as it was written. Raises ValueError."""
    text = jsontext.dumps(value)
    if len(text) > MAX_JSON:
        raise ValueError(f"expected at most {MAX_JSON} characters of JSON, got {len(text)}")
    jsontext.loads(text, max_depth=MAX_JSON_DEPTH)


def _check_icon(source: str) -> str:
    if not _ICON.fullmatch(source):
        raise ValueError("expected an https: URL, or a data: URI of an image")
    return source


def _check_icon_size(size: str) -> str:
    if not _ICON_SIZE.fullmatch(size):
        raise ValueError("expected a size such as 48x48, or any")
    return size


def is_moment(text: str) -> bool:
    """Whether it is a moment with a time zone (ISO 8601), as the SDKs of clients check it."""
    return _MOMENT.fullmatch(text) is not None


def _check_moment(text: str) -> str:
    if not is_moment(text):
        raise ValueError("expected a moment with a time zone such as 2026-07-28T12:00:00Z")
    return text


MediaType = Annotated[str, AfterValidator(check_media_type)]
Title = Annotated[str, Field(min_length=1, max_length=256)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Name = Annotated[str, AfterValidator(check_flow_name)]
Choice = Annotated[str, Field(max_length=256)]


class Icon(Contract):
    """An icon that clients may show (MCP, schema Icon)."""

    src: Annotated[str, Field(max_length=MAX_ICON), AfterValidator(_check_icon)]
    mime_type: MediaType | None = None
    sizes: list[Annotated[str, AfterValidator(_check_icon_size)]] | None = Field(default=None, max_length=MAX_ICONS)
    theme: Literal["light", "dark"] | None = None


class PromptArgument(Contract):
    """An argument of a prompt, always a text. `enum` bounds its values and completes them."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    title: Title | None = None
    description: Description | None = None
    required: bool = False
    enum: list[Choice] | None = Field(default=None, min_length=1, max_length=MAX_CHOICES)


class McpPrompt(Contract):
    """Present: the flow is an MCP prompt. Without `arguments` they are derived from the inputSchema."""

    name: Name | None = None
    title: Title | None = None
    description: Description | None = None
    arguments: list[PromptArgument] | None = Field(default=None, max_length=MAX_ITEMS)

    @field_validator("arguments")
    @classmethod
    def _each_name_once(cls, value: list[PromptArgument] | None) -> list[PromptArgument] | None:
        names = [argument.name for argument in value or ()]
        if len(set(names)) < len(names):
            raise ValueError("expected each argument's name once")
        return value


class ResourceAnnotations(Contract):
    """Hints for clients (MCP, schema Annotations)."""

    audience: list[Literal["user", "assistant"]] | None = Field(default=None, max_length=2)
    priority: float | None = Field(default=None, ge=0, le=1)
    last_modified: Annotated[str, Field(max_length=64), AfterValidator(_check_moment)] | None = None


class McpResource(Contract):
    """Present: the flow is an MCP resource (`uri`), or a template of resources (`uriTemplate`, whose variables are its
    arguments). `changes`: whether actors announce that it has changed."""

    uri: Annotated[str, AfterValidator(check_uri)] | None = None
    uri_template: Annotated[str, AfterValidator(check_template)] | None = None
    name: Name | None = None
    title: Title | None = None
    description: Description | None = None
    mime_type: MediaType | None = None
    size: int | None = Field(default=None, ge=0, le=LARGEST_SIZE)
    annotations: ResourceAnnotations | None = None
    changes: bool = False
    _template: Template | None = PrivateAttr(default=None)

    @override
    def model_post_init(self, context: Any, /) -> None:
        # Made where the flow is read, which is not where requests are served.
        self._template = None if self.uri_template is None else Template.of(self.uri_template)

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.uri is None) == (self.uri_template is None):
            raise ValueError("expected either uri or uriTemplate")
        if self.uri_template is not None and self.size is not None:
            raise ValueError("size: expected only with uri, since the resources of a template differ")
        return self

    @property
    def template(self) -> Template | None:
        """The template, to match URIs; None for a single resource."""
        return self._template

    @property
    def address(self) -> str:
        """The URI or the template."""
        found = self.uri or self.uri_template
        assert found is not None
        return found
