"""The keys of what passes sealed through callers' hands."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from asya_crds.setting_types import split_commas
from asya_gateway.settings.oauth import LEAST_SECRET


def check_seal_key(value: str) -> str:
    """A secret of at least 32 bytes."""
    if len(value.encode("utf-8", "surrogatepass")) < LEAST_SECRET:
        raise ValueError(f"expected secrets of at least {LEAST_SECRET} bytes, separated by commas")
    return value


SealKeys = Annotated[list[Annotated[str, AfterValidator(check_seal_key)]], NoDecode]


class SealSettings(BaseSettings):
    """The part of the gateway's settings that is about sealing."""

    seal_keys: SealKeys = Field(
        default_factory=list,
        repr=False,
        description="Secrets that seal what MCP clients send back between the rounds of a request, and the credentials "
        "of push notifications, each at least 32 bytes, comma separated: the first seals, all open (how to exchange "
        "one: security.md). If empty, the replicas share a random key of the database.",
    )

    @field_validator("seal_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        return split_commas(value)
