"""Judging credentials, and remembering good ones."""

import time
from dataclasses import replace

import pytest
from typing_extensions import override

from asya_gateway.domain.clock import own_time
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.ports import Credentials
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.identity.static_keys import StaticKeys

SMALL = 1_200
"""Bytes of a remembered caller without claims, and a few more."""


class Tokens:
    """Good are tokens that begin with its word; those that begin with `away-` cannot be judged."""

    def __init__(self, word: str, expires_in: float | None = None) -> None:
        self._word = word
        self._expires_in = expires_in
        self.judged: list[str] = []

    def claims(self, token: str) -> bool:
        return token.startswith((self._word, "away-"))

    async def verify(self, token: str) -> Principal:
        self.judged.append(token)
        if token.startswith("away-"):
            raise Unavailable("the database is away")
        expires_at = None if self._expires_in is None else time.time() + self._expires_in
        return Principal(f"jwt:{token}", rights_of(COMMON_SCOPES), Via.JWT, expires_at=expires_at)


async def test_a_good_credential_is_judged_once_until_everything_is_forgotten() -> None:
    tokens = Tokens("t-")
    gate = Authenticating([], [tokens], clock=own_time)
    presented = Credentials(bearer="t-1")
    assert gate.recall("Bearer t-1") is None
    found = await gate.authenticate(presented)
    assert gate.recall("Bearer t-1") is found
    assert await gate.authenticate(presented) is found
    assert tokens.judged == ["t-1"]
    gate.forget()
    assert gate.recall("Bearer t-1") is None
    await gate.authenticate(presented)
    assert tokens.judged == ["t-1", "t-1"]


async def test_a_credential_is_not_remembered_beyond_its_end() -> None:
    gate = Authenticating([], [Tokens("t-", expires_in=-0.001)], clock=own_time)
    await gate.authenticate(Credentials(bearer="t-1"))
    assert gate.recall("Bearer t-1") is None


async def test_a_credential_ends_by_the_clock_that_the_gateway_is_given() -> None:
    """The database's: this machine's own may be wrong by minutes."""
    now = time.time() + 90
    gate = Authenticating([], [Tokens("t-", expires_in=100)], clock=lambda: now)
    found = await gate.authenticate(Credentials(bearer="t-1"))
    now += 9
    assert gate.recall("Bearer t-1") is found
    now += 2
    assert gate.recall("Bearer t-1") is None


async def test_what_is_forgotten_while_a_credential_is_judged_does_not_come_back() -> None:
    class Revoked(Tokens):
        @override
        async def verify(self, token: str) -> Principal:
            gate.forget()
            return await super().verify(token)

    gate = Authenticating([], [Revoked("t-")], clock=own_time)
    await gate.authenticate(Credentials(bearer="t-1"))
    assert gate.recall("Bearer t-1") is None


async def test_a_revocation_forgets_what_it_ends_and_nothing_else() -> None:
    class Granted(Tokens):
        @override
        async def verify(self, token: str) -> Principal:
            if token == "t-late":
                gate.drop(frozenset({"grant:t-late"}))
            return replace(await super().verify(token), revocables=frozenset({f"grant:{token}", "client:c"}))

    gate, told = Authenticating([], [Granted("t-")], clock=own_time), list[str]()
    gate.watch(lambda: told.append("changed"))
    for each in ("t-1", "t-2", "t-late"):
        await gate.authenticate(Credentials(bearer=each))
    assert gate.recall("Bearer t-late") is None, "what is revoked while it is judged must not come back"
    gate.drop(frozenset({"grant:t-1"}))
    assert [gate.recall(f"Bearer {each}") is not None for each in ("t-1", "t-2")] == [False, True]
    gate.drop(frozenset({"client:c"}))
    assert gate.recall("Bearer t-2") is None
    assert told == [], "nobody else's rights have changed"


async def test_bad_credentials_take_no_room_and_good_ones_a_bounded_one() -> None:
    tokens = Tokens("t-")
    gate = Authenticating([], [tokens], clock=own_time, cache=2 * SMALL)
    for bad in range(10):
        with pytest.raises(Unauthenticated):
            await gate.authenticate(Credentials(bearer=f"bad-{bad}"))
    for good in ("t-1", "t-2", "t-3"):
        await gate.authenticate(Credentials(bearer=good))
    assert [gate.recall(f"Bearer {each}") is not None for each in ("t-1", "t-2", "t-3")] == [False, True, True]


async def test_callers_of_whom_much_is_known_are_remembered_in_smaller_numbers() -> None:
    class Talkative(Tokens):
        @override
        async def verify(self, token: str) -> Principal:
            found = await super().verify(token)
            if token == "t-claims":
                return replace(found, claims={"groups": ["x" * 100] * 100})
            if token == "t-scopes":
                return replace(found, rights=rights_of(frozenset(f"{number:0250}" for number in range(100))))
            return found

    gate = Authenticating([], [Talkative("t-")], clock=own_time, cache=20 * SMALL)
    for large in ("t-claims", "t-scopes"):
        await gate.authenticate(Credentials(bearer="t-1"))
        await gate.authenticate(Credentials(bearer=large))
        for number in range(2, 12):
            await gate.authenticate(Credentials(bearer=f"t-{number}"))
        assert gate.recall(f"Bearer {large}") is None
        assert gate.recall("Bearer t-11") is not None


@pytest.mark.parametrize(
    ("bearer", "api_key", "owner"),
    [
        ("t-1", "k-1", "jwt:t-1"),
        ("bad", "k-1", "jwt:k-1"),
        ("t-1", "bad", "jwt:t-1"),
        ("away-1", "k-1", "jwt:k-1"),
        (None, "k-1", "jwt:k-1"),
        ("k-1", None, "jwt:k-1"),
    ],
)
async def test_of_several_credentials_one_good_one_suffices_and_of_two_the_bearer_counts(
    bearer: str | None, api_key: str | None, owner: str
) -> None:
    gate = Authenticating([Tokens("k-")], [Tokens("t-")], clock=own_time)
    assert (await gate.authenticate(Credentials(bearer, api_key))).owner == owner


async def test_a_token_is_no_api_key_even_if_it_is_remembered_as_a_token() -> None:
    gate = Authenticating([Tokens("k-")], [Tokens("t-")], clock=own_time)
    await gate.authenticate(Credentials(bearer="t-1"))
    assert gate.recall("X-API-Key t-1") is None
    with pytest.raises(Unauthenticated):
        await gate.authenticate(Credentials(api_key="t-1"))


@pytest.mark.parametrize(
    "credentials", [Credentials("away-1", "bad"), Credentials("bad", "away-1"), Credentials("away-1")]
)
async def test_a_credential_that_cannot_be_judged_is_not_called_bad(credentials: Credentials) -> None:
    gate = Authenticating([Tokens("k-")], [Tokens("t-")], clock=own_time)
    with pytest.raises(Unavailable):
        await gate.authenticate(credentials)


async def test_two_static_keys_are_two_principals_and_equal_ones_are_one() -> None:
    keys = StaticKeys(mcp="one", a2a="two")
    assert [(await keys.verify(key)).owner for key in ("one", "two")] == ["key:mcp", "key:a2a"]
    shared = StaticKeys(mcp="same", a2a="same")
    assert (await shared.verify("same")).owner == "key:shared"
    assert (await shared.verify("same")).rights.scopes == COMMON_SCOPES
    with pytest.raises(Unauthenticated):
        await keys.verify("three")


def test_a_key_that_is_not_set_is_no_key() -> None:
    for keys in (StaticKeys(), StaticKeys(mcp="one"), StaticKeys(a2a="one")):
        assert not keys.claims("")


def test_credentials_never_show_themselves() -> None:
    assert "secret" not in repr(Credentials("secret", "secret"))
    assert "secret" not in str(Credentials("secret", "secret"))


async def test_nobody_is_called_a_stranger_while_the_database_is_away() -> None:
    """A client that got 401 would renew its token, which fails too, and throw its registration away."""
    away = False
    gate = Authenticating([Tokens("k-")], [Tokens("t-")], uncertain=lambda: away, clock=own_time)
    for credentials in (Credentials("bad"), Credentials(None, "bad"), Credentials("bad", "bad")):
        with pytest.raises(Unauthenticated):
            await gate.authenticate(credentials)
    away = True
    for credentials in (Credentials("bad"), Credentials(None, "bad"), Credentials("bad", "bad")):
        with pytest.raises(Unavailable):
            await gate.authenticate(credentials)
    assert (await gate.authenticate(Credentials("bad", "k-1"))).owner == "jwt:k-1"
