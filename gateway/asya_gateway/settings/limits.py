"""Limits: what one caller may do, which are off by default, and how much may wait to be delivered."""

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from asya_crds.setting_types import split_commas


def check_network(value: str) -> str:
    """An address, or a network as CIDR."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("expected addresses or networks such as 10.0.0.0/8, without host bits") from None


Networks = Annotated[list[Annotated[str, AfterValidator(check_network)]], NoDecode]


class LimitSettings(BaseSettings):
    """The part of the gateway's settings that limits calls."""

    rate_per_principal: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Largest number of messages of one caller a second, over all pods; lists do not count; without a "
        "credential, of one address. A further one gets 429. 0 means no limit.",
    )
    rate_per_flow: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Largest number of calls of one flow a second, over all pods. A further one gets 429. 0 means no "
        "limit.",
    )
    max_streams_per_principal: int = Field(
        0,
        ge=0,
        description="Largest number of requests of one caller that a process holds open; a further one gets 429. 0 "
        "means no limit.",
    )
    outbox_rows: int = Field(
        500_000,
        ge=1,
        le=10_000_000,
        description="Messages that may wait to be delivered, in all: envelopes that the queue system has not "
        "confirmed; with the postgres transport, messages in its queues. Beyond it every new call gets 503.",
    )
    outbox_rows_per_actor: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="The same for one actor. Beyond it new calls of the flows that begin there get 503.",
    )
    trusted_proxies: Networks = Field(
        default_factory=list,
        description="Addresses of proxies whose X-Forwarded-For is believed, comma separated; nobody's by default.",
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        return split_commas(value)
