"""Callers of a closed gateway in tests: tokens with principals of given scopes."""

from collections.abc import Callable, Iterable

from asya_gateway.domain.clock import own_time
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.scopes import rights_of
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.policies import Group

METADATA = "https://asya.example"


class Tokens:
    """Tokens by name. Implements BearerVerifier."""

    def __init__(self, **scopes: str) -> None:
        self.verified: list[str] = []
        self.principals = {
            name: Principal(f"key:{name}", rights_of(frozenset(words.split())), Via.KEY)
            for name, words in scopes.items()
        }

    def claims(self, token: str) -> bool:
        return token in self.principals

    async def verify(self, token: str) -> Principal:
        self.verified.append(token)
        if token not in self.principals:
            raise Unauthenticated("unknown key")
        return self.principals[token]


def closed(
    tokens: Tokens,
    *open_groups: Group,
    mesh_is_local: bool = False,
    revoked: Callable[[Iterable[str]], bool] = lambda _: False,
) -> Admission:
    """The doors of a gateway that only these tokens open."""
    return Admission(
        Authenticating([tokens], clock=own_time),
        frozenset(open_groups),
        Challenges(METADATA),
        mesh_is_local=mesh_is_local,
        revoked=revoked,
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
