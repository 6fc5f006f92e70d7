"""What a configuration may contain. What it says becomes a request of the gateway's own."""

import re

from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import PushConfig
from asya_gateway.protocols.a2a.reading import Members

LONGEST_SCHEME = 64
LONGEST_SECRET = 4_096
"""Most characters of a token, and of credentials."""
LONGEST_URL = 2_048

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""A field value of visible ASCII characters, with spaces inside (RFC 9110, section 5.5): no line break, and nothing
that two implementations read differently."""


def checked(config: PushConfig, members: Members, scheme: str) -> PushConfig:
    """The configuration, whose scheme stands at this path. Raises InvalidParams."""
    if not 1 <= len(config.url) <= LONGEST_URL:
        raise members.wrong("url", f"a URL of at most {LONGEST_URL} characters")
    if not config.id.isprintable():
        raise members.wrong("id", "a string without control characters")
    _check_secret(config.token, members.at("token"))
    _check_secret(config.credentials, members.at("authentication.credentials"))
    if config.scheme and (len(config.scheme) > LONGEST_SCHEME or not _TOKEN.fullmatch(config.scheme)):
        raise InvalidParams(members.at(scheme), "expected the name of an HTTP authentication scheme")
    return config


def _check_secret(value: str, path: str) -> None:
    if value and (len(value) > LONGEST_SECRET or not _VALUE.fullmatch(value)):
        raise InvalidParams(path, f"expected at most {LONGEST_SECRET} visible ASCII characters and spaces between them")
