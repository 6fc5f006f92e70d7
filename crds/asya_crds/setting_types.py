"""Types of settings that several programs read from the environment, and the wording of wrong values.

Each type accepts the text of a variable and raises ValueError with what was expected.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from asya_crds.mistakes import plain_words, unknown_field
from asya_crds.naming import check_actor_name, check_own_actor

PREFIX = "ASYA_"
LONGEST_SHOWN = 80
_ON, _OFF = frozenset({"true", "1", "yes", "on", "t", "y"}), frozenset({"", "false", "0", "no", "off", "f", "n"})
LONGEST_HOST = 253
_HOST_NAME = re.compile(r"(?=[A-Za-z0-9_])[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*(?<=[A-Za-z0-9_])\.?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


class SettingsError(ValueError):
    """Variables of a program are missing or invalid; the text names each of them."""


def parse_switch(value: Any) -> bool:
    """True or false in the usual spellings; an empty text is false."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _ON or text in _OFF:
        return text in _ON
    raise ValueError("expected true or false")


def check_web_url(value: str) -> str:
    """A base URL, `http://host[:port][/path]` or https, without a trailing slash; an empty text stays empty."""
    if value and not _is_web_url(value):
        raise ValueError("expected http://host[:port] or https://host[:port], without user, query and fragment")
    return value.rstrip("/")


def check_origin(value: str) -> str:
    """An origin of a web page, `https://host[:port]`, or `*` for every origin."""
    if value == "*":
        return value
    scheme, separator, rest = value.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme) or not _is_host_with_port(rest.removesuffix("/")):
        raise ValueError("expected origins such as https://app.example.com, or *")
    return value


def check_allowed_host(value: str) -> str:
    """A Host header, `name[:port]`; `*.name` stands for every subdomain, `*` for every host."""
    if value != "*" and not _is_host_with_port(value.removeprefix("*.")):
        raise ValueError("expected hosts such as asya.example.com, *.example.com or localhost:8080, without a scheme")
    return value


def check_listen_host(value: str) -> str:
    """An address or name to listen on; an IPv6 address with or without brackets."""
    text = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not is_host(text):
        raise ValueError("expected an address to listen on, such as 0.0.0.0, 127.0.0.1 or ::")
    return text


def is_host(text: str) -> bool:
    """Whether this is an address, or a name that can be looked up (RFC 1123, and underscores)."""
    return _is_address(text) or _is_host_name(text)


def check_namespace(value: str) -> str:
    """A Kubernetes namespace, which is part of queue names."""
    try:
        return check_actor_name(value)
    except ValueError:
        raise ValueError("expected a namespace: lower-case letters, digits and '-', at most 63 characters") from None


def check_object_name(value: str) -> str:
    """The name of a Kubernetes object (RFC 1123 subdomain)."""
    if not _SUBDOMAIN.fullmatch(value):
        raise ValueError("expected a name: lower-case letters, digits, '-' and '.', at most 253 characters")
    return value


def check_visible(value: str) -> str:
    """A visible name: 1 to 253 characters, none of them a control character."""
    if not 1 <= len(value) <= 253 or not value.isprintable():
        raise ValueError("expected 1 to 253 printable characters")
    return value


def split_commas(value: Any) -> Any:
    """The non-empty parts of a comma-separated text, stripped of blanks."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(parse_switch)]
WebUrl = Annotated[str, AfterValidator(check_web_url)]
Origin = Annotated[str, AfterValidator(check_origin)]
AllowedHost = Annotated[str, AfterValidator(check_allowed_host)]
ListenHost = Annotated[str, AfterValidator(check_listen_host)]
Namespace = Annotated[str, AfterValidator(check_namespace)]
ObjectName = Annotated[str, AfterValidator(check_object_name)]
VisibleName = Annotated[str, AfterValidator(check_visible)]
OwnActor = Annotated[str, AfterValidator(check_own_actor)]


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """Every wrong variable with what was expected, on one line: `ASYA_X: expected …, not '…'`.

    The value is left out for a field that must not be shown (`repr=False`) and for any that might hold credentials.
    """
    return "; ".join(_explain(dict(item), model) for item in error.errors(include_url=False))


def _explain(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = [str(part) for part in item["loc"]]
    message = plain_words(item)
    if not where:
        return message
    variable = PREFIX + where[0].upper()
    if item["type"] == "missing" and len(where) == 1:
        return f"{variable} is required"
    path = "".join(f".{part}" for part in where[1:] if where[0] not in _LISTS or not part.isdecimal())
    if item["type"] == "extra_forbidden":
        return f"{variable}{path}: {unknown_field(item['loc'], model)}"
    if item["type"] == "missing":
        return f"{variable}{path}: {message}"
    for beginning in ("Input should be ", "Input should "):
        message = message.removeprefix(beginning)
    message = message if message.startswith("expected") else f"expected {message}"
    field = model.model_fields.get(where[0])
    given = "" if (field is not None and not field.repr) or ", got " in message else _shown(item["input"])
    return f"{variable}{path}: {message}{given}"


_LISTS = frozenset(
    {
        "allowed_origins",
        "allowed_hosts",
        "gateway_url_allowed",
        "open_surfaces",
        "outbound_allow",
        "sink_hooks",
        "trusted_proxies",
        "mcp_oauth_redirect_schemes",
        "mcp_oauth_client_hosts",
    }
)


def _shown(value: Any) -> str:
    text = repr(value)
    if isinstance(value, dict | list) or "@" in text:
        return ""
    return f", not {text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + '…'}"


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = value.isascii() and value.isprintable() and " " not in value and not set('@?#\\"<>') & set(value)
    return parts.scheme in ("http", "https") and bool(host) and plain and _is_host_with_port(parts.netloc)


def _is_host_with_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, port = text, "0"
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        return False
    if host.startswith("[") and host.endswith("]"):
        return _is_address(host[1:-1])
    return _is_host_name(host)


def _is_host_name(text: str) -> bool:
    return len(text) <= LONGEST_HOST and _HOST_NAME.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
