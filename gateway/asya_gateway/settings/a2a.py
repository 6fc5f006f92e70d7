"""The settings of A2A."""

from pydantic import Field
from pydantic_settings import BaseSettings

from asya_crds.durations import Duration
from asya_crds.setting_types import Switch, WebUrl


class A2aSettings(BaseSettings):
    """What the agent card says, and how long calls wait."""

    a2a_name: str = Field("Asya", min_length=1, max_length=256, description="Name of the agent in its card.")
    a2a_description: str = Field(
        "Runs pipelines of asynchronous actors.", min_length=1, max_length=4096, description="What the agent does."
    )
    a2a_version: str = Field("", max_length=64, description="Version of the agent in its card; empty: the gateway's.")
    a2a_provider_org: str = Field("", max_length=256, description="Who provides the agent; needs the URL, too.")
    a2a_provider_url: WebUrl = Field("", description="URL of who provides the agent.")
    a2a_public_url: WebUrl = Field("", description="Base URL of the A2A routes in cards; empty: `ASYA_PUBLIC_URL`.")
    a2a_signing_key_file: str = Field(
        "", description="PEM file of a private key (EC, P-256) with which cards are signed; empty: they are not."
    )
    a2a_signing_key_id: str = Field(
        "", max_length=256, description="`kid` of the signing key; empty: its thumbprint (RFC 7638)."
    )
    a2a_block: Duration = Field(
        300.0, gt=0, description="How long a message waits for its task; then the answer is the working task."
    )
    a2a_streaming: Switch = Field(True, description="Whether A2A clients may open streams; `false` answers -32004.")
    a2a_push: Switch = Field(
        True, description="Whether tasks' changes may be pushed to callers' URLs; `false` answers -32003."
    )
