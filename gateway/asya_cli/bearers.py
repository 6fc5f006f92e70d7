"""Where a command's token comes from."""

from enum import Enum, auto
from typing import Protocol

from asya_cli.errors import UsageProblem

LONGEST_TOKEN = 15 * 1024
"""What gateways read (asya_gateway.protocols.http.credentials), because longer headers do not reach them."""


class TokenSource(Enum):
    """How a token was given, for what is said if it is refused."""

    NOTHING = auto()
    TOKEN = auto()
    """By `--token` or ASYA_TOKEN."""
    LOGIN = auto()
    """By `asya login`."""


class Bearer(Protocol):
    """Gives the token of each request."""

    held: TokenSource

    async def token(self) -> str:
        """The token to send, "" for none. Raises CliError if there was one that has ended."""
        ...

    async def renewed(self, refused: str) -> str:
        """Another token, after this one was refused; "" if there is none. Raises CliError."""
        ...


class GivenToken:
    """A token that does not change; "" is none."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.held = TokenSource.TOKEN if token else TokenSource.NOTHING

    async def token(self) -> str:
        """The token as it was given; "" if there is none."""
        return self._token

    async def renewed(self, refused: str) -> str:
        """There is no other."""
        return ""


NOBODY = GivenToken("")


def given(token: str) -> GivenToken:
    """The token of the command line or the environment. Raises UsageProblem, which does not repeat it."""
    token = token.strip()
    if len(token) > LONGEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageProblem(
            f"--token or ASYA_TOKEN: expected one key or token of at most {LONGEST_TOKEN} visible ASCII characters"
        )
    return GivenToken(token)
