"""What the gateway itself may reach: the settings of its client for other systems' URLs."""

import re
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from asya_crds.setting_types import is_host, split_commas


def check_target(value: str) -> str:
    """A network (`10.1.0.0/16`), an address, or a host name (`*.name` stands for every name in a domain)."""
    # A text of digits and dots is meant as a network or an address, so a wrong one is not taken for a name.
    is_name = is_host(value.removeprefix("*.")) and not re.fullmatch(r"[0-9.]+", value)
    if not is_name and not _is_network(value):
        raise ValueError("expected networks and host names, such as 10.1.0.0/16, fd00:1::/32 or *.internal.example.com")
    return value


def check_proxy(value: str) -> str:
    """`http://[user:password@]host[:port]` or https."""
    if value and not _is_proxy(value):
        raise ValueError("expected http://host:port, with user:password@ if the proxy asks for them")
    return value


Targets = Annotated[list[Annotated[str, AfterValidator(check_target)]], NoDecode]
Proxy = Annotated[str, AfterValidator(check_proxy)]


class OutboundSettings(BaseSettings):
    """The part of the gateway's settings that is about its requests to other systems."""

    outbound_allow: Targets = Field(
        default_factory=list,
        description="Private networks and host names that may be reached besides public addresses, by http too, comma "
        "separated.",
    )
    outbound_proxy: Proxy = Field(
        "",
        repr=False,
        description="HTTP proxy for requests to other systems; what `ASYA_OUTBOUND_ALLOW` lists is reached directly.",
    )

    @field_validator("outbound_allow", mode="before")
    @classmethod
    def _split_targets(cls, value: Any) -> Any:
        return split_commas(value)


def _is_network(value: str) -> bool:
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _is_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    return usable and value.isascii() and not (parts.path.strip("/") or parts.query or parts.fragment)
