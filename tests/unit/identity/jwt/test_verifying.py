"""Which tokens of other issuers are good (RFC 7515, 7518, 7519, 8725, 9068)."""

import base64
import contextlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import Key, RSAKey

from asya_gateway.domain.errors import GatewayError, Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.identity.jwt.compact import LONGEST_TOKEN
from asya_gateway.identity.jwt.key_set import KeySet, read_keys
from asya_gateway.identity.jwt.verifying import Issuer, IssuersTokens
from tests.support import issuers
from tests.support.issuers import AUDIENCE, MAKERS, URL, document, fresh_key, key_for, token_by_authlib

NOW = 1_800_000_000
"""The time in these tests."""
TIMES = {"iat": NOW, "exp": NOW + 300}
ALL = read_keys(document(*(key_for(each) for each in ("RS256", "ES256", "ES384", "ES512", "EdDSA"))))


def claims(**others: Any) -> dict[str, Any]:
    return issuers.claims(**{**TIMES, **others})


def token(algorithm: str = "ES256", key: Key | None = None, **others: Any) -> str:
    return issuers.token(algorithm, key, **{**TIMES, **others})


class Known:
    """Keys that are simply there. Counts how often newer ones are asked for."""

    def __init__(self, keys: KeySet | None = ALL, newer: KeySet | None = None) -> None:
        self.keys, self.newer, self.asked = keys, newer or keys, 0

    async def current(self) -> KeySet:
        if self.keys is None:
            raise Unavailable("the keys of the token's issuer are not available")
        return self.keys

    async def newest(self) -> KeySet:
        self.asked += 1
        self.keys = self.newer
        return await self.current()


def tokens(keys: Known | None = None, *, roles_decide: bool = False, now: float = NOW) -> IssuersTokens:
    issuer = Issuer("corp", URL, (AUDIENCE,), keys or Known())
    return IssuersTokens([issuer], roles_decide=roles_decide, clock=lambda: now)


async def verified(text: str, **how: Any) -> Principal:
    return await tokens(**how).verify(text)


async def refused(text: str, why: str, **how: Any) -> None:
    with pytest.raises(Unauthenticated, match=why):
        await tokens(**how).verify(text)


def raw(header: Any, payload: Any, signature: bytes = b"x") -> str:
    """A token of parts that no library would make."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload, signature))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    "algorithm",
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_a_token_of_every_accepted_algorithm_is_good(algorithm: str) -> None:
    principal = await verified(token(algorithm))
    assert (principal.owner, principal.via) == ("jwt:corp:alice", Via.JWT)
    assert principal.claims["iss"] == URL
    assert principal.expires_at == claims()["exp"] + 60


async def test_a_token_that_authlib_issues_is_good() -> None:
    principal = await verified(token_by_authlib("mcp:read other"), now=time.time())
    assert principal.owner == "jwt:corp:machine"
    assert principal.rights.scopes == {"mcp:read", "other"}


async def test_a_token_with_scopes_of_ours_holds_these() -> None:
    for scopes in (
        {"scope": "mcp:read openid"},
        {"scp": ["mcp:read", "openid"]},
        {"scope": ["mcp:read"], "scp": "openid"},
    ):
        assert (await verified(token(**scopes))).rights.scopes == {"mcp:read", "openid"}


@pytest.mark.parametrize("given", [{}, {"scope": ""}, {"scope": "openid profile"}, {"scp": []}, {"scope": 'odd"word'}])
async def test_a_token_without_scopes_of_ours_may_use_every_ordinary_flow(given: dict[str, Any]) -> None:
    assert (await verified(token(**given))).rights.scopes >= {"mcp:read", "mcp:invoke"}


async def test_a_token_without_scopes_of_ours_holds_nothing_when_roles_decide() -> None:
    assert (await verified(token(scope="openid"), roles_decide=True)).rights.scopes == {"openid"}


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"iss": None}, "issuer"),
        ({"iss": URL.rstrip("/")}, "issuer"),
        ({"iss": [URL]}, "issuer"),
        ({"iss": {"a": 1}}, "issuer"),
        ({"aud": None}, "aud"),
        ({"aud": "https://other.example.com"}, "audience"),
        ({"aud": AUDIENCE + "/"}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [1, None, {}]}, "audience"),
        ({"aud": {"a": 1}}, "aud"),
        ({"aud": ["x"] * 101}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": str(NOW + 100)}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": [NOW]}, "exp"),
        ({"nbf": NOW + 61}, "good yet"),
        ({"nbf": "now"}, "nbf"),
        ({"iat": NOW + 61}, "future"),
        ({"iat": {}}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"sub": "a\x00b"}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "a\u2028b"}, "sub"),
        ({"sub": "a\x7f"}, "sub"),
        ({"scope": 7}, "scope"),
        ({"scp": {"a": 1}}, "scp"),
        ({"scope": [1]}, "scope"),
        ({"scope": " ".join(f"s{n}" for n in range(300))}, "scopes"),
    ],
)
async def test_a_token_with_wrong_claims_is_refused(others: dict[str, Any], why: str) -> None:
    await refused(token(**others), why)


@pytest.mark.parametrize(
    "others",
    [{"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}, {"exp": NOW + 0.5}, {"sub": "a" * 255},
     {"sub": "käthe 😀"}, {"aud": ["x", AUDIENCE]}, {"iat": None}],
)  # fmt: skip
async def test_clocks_may_differ_by_a_minute_and_unusual_claims_are_good(others: dict[str, Any]) -> None:
    await verified(token(**others))


async def test_half_a_character_is_no_subject() -> None:
    await refused(raw({"alg": "ES256"}, json.dumps(claims(sub="a")).replace('"a"', '"\\ud800"').encode()), "sub")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS512", "ES256K", "RS1", "", "dir"])
async def test_an_algorithm_without_a_public_key_is_refused(algorithm: str) -> None:
    await refused(raw({"alg": algorithm, "kid": "rsa"}, claims()), "algorithm")


async def test_an_unsigned_token_is_refused() -> None:
    await refused(raw({"alg": "none"}, claims()).rpartition(".")[0] + ".", "not a JWT")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_secret(algorithm: str) -> None:
    """RFC 8725, section 2.1: "the attacker changes the algorithm from RS256 to HS256"."""
    key = key_for("RS256")
    assert isinstance(key, RSAKey)
    unsigned = raw({"alg": algorithm, "kid": "rsa"}, claims()).rpartition(".")[0]
    mac = hmac.digest(key.as_pem(private=False), unsigned.encode(), f"sha{algorithm[2:]}")
    await refused(f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}", "algorithm")


async def test_a_key_is_used_with_its_own_algorithms_alone() -> None:
    pinned = key_for("RS256").as_dict(private=False) | {"alg": "RS256"}
    keys = Known(read_keys(document(pinned)))
    await verified(token("RS256"), keys=keys)
    await refused(token("PS256"), "signature", keys=keys)
    await refused(token("RS512"), "signature", keys=keys)
    await refused(token("ES256", header={"kid": "rsa"}), "signature")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
async def test_a_token_of_a_strangers_key_is_refused(algorithm: str) -> None:
    await refused(token(algorithm, MAKERS["EdDSA" if algorithm == "Ed25519" else algorithm]()), "signature")


@pytest.mark.parametrize("header", [{"jwk": key_for("ES256").as_dict(private=False)}, {"jku": "https://evil.example.com"},
                                    {"x5u": "https://evil.example.com"}])  # fmt: skip
async def test_a_key_that_the_token_itself_brings_is_not_used(header: dict[str, Any]) -> None:
    """RFC 8725, section 3.10."""
    stranger = fresh_key("p256")
    await refused(token("ES256", stranger, header=header), "signature")


@pytest.mark.parametrize("kid", ["", "../../dev/null", "' OR 1=1 --", "p256\x00", "x" * 1024, "ä"])
async def test_an_odd_kid_is_an_unknown_key(kid: str) -> None:
    await refused(token("ES256", header={"kid": kid}), "signature")


@pytest.mark.parametrize("kid", [7, ["p256"], {"a": 1}, True, "x" * 1025])
async def test_a_kid_that_is_no_text_is_refused(kid: object) -> None:
    await refused(raw({"alg": "ES256", "kid": kid}, claims()), "kid")


async def test_a_token_without_kid_is_tried_with_the_keys_of_its_algorithm() -> None:
    await verified(token("ES256", header={"kid": None}))
    several = Known(read_keys(document(*(fresh_key(None) for _ in range(7)), key_for("ES256"))))
    await verified(token("ES256", header={"kid": None}), keys=several)


async def test_a_token_without_kid_is_not_tried_with_a_hundred_keys() -> None:
    many = Known(read_keys(document(*(fresh_key(str(n)) for n in range(8)), key_for("ES256"))))
    await refused(token("ES256", header={"kid": None}), "signature", keys=many)


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "", 7, ["JWT"]])
async def test_a_token_for_another_purpose_is_refused(kind: object) -> None:
    await refused(raw({"alg": "ES256", "typ": kind}, claims()), "access token")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
async def test_an_access_token_may_say_that_it_is_one(kind: str) -> None:
    await verified(token("ES256", header={"typ": kind}))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"crit": ["b64"], "b64": False}])
async def test_a_token_that_needs_an_extension_is_refused(header: dict[str, Any]) -> None:
    await refused(raw({"alg": "ES256", **header}, claims()), "extension")


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c.d", "..", "a..c", "a.b.", "a=.b.c", "a b.c.d", "ä.b.c", "a.b.c\n"]
)
async def test_what_is_not_a_token_is_refused_and_not_claimed(text: str) -> None:
    await refused(text, "not a JWT")
    assert not tokens().claims(text)


async def test_a_long_token_is_refused_before_it_is_read() -> None:
    long = token("ES256", groups=["g" * 100] * 200)
    assert len(long) > LONGEST_TOKEN
    await refused(long, "not a JWT")
    assert tokens().claims(token("ES256"))


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"7", b"{", b"\xff\xfe", b'{"exp":NaN}', b'{"exp":1e999}', b'{"a":' * 2000,
     b'{"a":' + b"[" * 17 + b"]" * 17 + b"}", b"9" * 5000],
)  # fmt: skip
async def test_claims_that_cannot_be_read_are_refused(payload: bytes) -> None:
    await refused(raw({"alg": "ES256"}, payload or b" "), "claims cannot be read")
    await refused(raw(payload or b" ", claims()), "header cannot be read|algorithm")


async def test_a_token_has_one_spelling() -> None:
    """Other bits at the end of a part give the same bytes, so a revoked or remembered token would have twins."""
    good = token("ES256")
    last = good[-1]
    for twin in (each for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" if each != last):
        await refused(good[:-1] + twin, "signature")


async def test_an_unknown_kid_is_looked_for_among_newer_keys() -> None:
    rotated = fresh_key("new")
    keys = Known(newer=read_keys(document(rotated, key_for("ES256"))))
    await verified(token("ES256", rotated), keys=keys)
    assert keys.asked == 1
    await verified(token("ES256"), keys=keys)
    assert keys.asked == 1


async def test_a_wrong_signature_of_a_known_key_asks_nobody() -> None:
    keys = Known()
    await refused(token("ES256", fresh_key("p256")), "signature", keys=keys)
    assert keys.asked == 0


async def test_a_strangers_token_asks_nobody_unless_its_claims_are_good() -> None:
    keys = Known()
    stranger = fresh_key("stranger")
    for others in ({"aud": "x"}, {"exp": 1}, {"iss": "x"}, {"sub": ""}):
        await refused(token("ES256", stranger, **others), "token", keys=keys)
    assert keys.asked == 0


async def test_while_no_keys_are_known_a_token_is_neither_good_nor_bad() -> None:
    with pytest.raises(Unavailable):
        await tokens(Known(None)).verify(token("ES256"))


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=80))
def test_no_bytes_in_a_token_are_more_than_a_refusal(header: bytes, payload: bytes, signature: bytes) -> None:
    _only_refused(raw(header or b"x", payload or b"x", signature or b"x"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "scope", "scp", "jti"])


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), JSON), st.dictionaries(NAMES, JSON)
)
def test_no_value_in_a_token_is_more_than_a_refusal(header: dict[str, Any], others: dict[str, Any]) -> None:
    _only_refused(raw({"alg": "ES256", "kid": "p256", **header}, claims() | others))


@given(NAMES, JSON)
def test_no_value_in_a_signed_token_is_an_error_of_the_gateway(name: str, value: Any) -> None:
    with contextlib.suppress(GatewayError):
        _run(tokens().verify(token("ES256", **{name: value})))


def _only_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        _run(tokens().verify(text))


def _run(work: Any) -> Any:
    """Nothing here waits, so that no event loop is needed."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
