"""Access tokens of our own authorization server."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Via
from asya_gateway.domain.identity.revocations import Revocation, Revocations
from asya_gateway.domain.oauth.clients import ClientKind, key_of
from asya_gateway.domain.oauth.errors import InvalidScope
from asya_gateway.domain.oauth.grants import Grant, Person
from asya_gateway.identity.jwt.compact import DEEPEST
from asya_gateway.identity.own_tokens import LONGEST_TOKEN, SKEW_SECONDS, OwnTokens, OwnTokenVerifier
from asya_gateway.identity.sealing import SuccessorSealing

ISSUER = "https://gateway.example.com"
SECRET, FORMER, OTHER = "s" * 32, "f" * 32, "o" * 32
NOW = 1_800_000_000.0
CLIENT_ID = "asya_client_0123"
URL = "https://client.example/metadata.json"


def tokens(*secrets: str, at: float = NOW, **options: Any) -> OwnTokens:
    return OwnTokens(ISSUER, secrets or (SECRET,), lambda: at, **{"ttl": 3600.0, **options})


def grant(client_id: str = CLIENT_ID, person: Person | None = None, ends_in: float = 1e6) -> Grant:
    kind = ClientKind.METADATA if client_id == URL else ClientKind.REGISTERED
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    return Grant("ab" * 16, key_of(client_id), kind, scopes, ISSUER, NOW + ends_in, person)


def issued(own: OwnTokens | None = None, client_id: str = CLIENT_ID, audience: str = ISSUER, **options: Any) -> str:
    made = grant(client_id, **options)
    return (own or tokens()).issue(made, client_id, audience, made.scopes)[0]


def signed(claims: Mapping[str, Any], secret: str = SECRET, **header: Any) -> str:
    good = jwt.decode(issued(), options={"verify_signature": False})
    merged = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(merged, secret, header.pop("alg", "HS256"), header or None)


def test_a_token_has_the_claims_of_the_seed() -> None:
    token, seconds = tokens().issue(grant(), CLIENT_ID, f"{ISSUER}/mcp", frozenset({"mcp:read", "mcp:invoke"}))
    claims = jwt.decode(token, SECRET, ["HS256"], audience=f"{ISSUER}/mcp", options={"verify_iat": False})
    jti = claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "aud": f"{ISSUER}/mcp",
        "sub": CLIENT_ID,
        "scope": "mcp:invoke mcp:read",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    assert jti.startswith("ab" * 16 + ".")
    assert seconds == 3600


def test_a_token_says_how_many_tasks_of_its_person_may_be_open() -> None:
    token, _ = tokens().issue(grant(), CLIENT_ID, ISSUER, frozenset({"mcp:read"}), 3)
    assert tokens().principal(token).max_open_tasks == 3
    assert tokens().principal(issued()).max_open_tasks is None


@pytest.mark.parametrize("cap", [-1, True, "3", 1.5, [3]])
def test_a_cap_of_another_type_makes_no_good_token(cap: Any) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(signed({"asya_max_open_tasks": cap}))


def test_two_tokens_of_a_grant_differ() -> None:
    assert issued() != issued()


def test_a_token_never_outlives_its_grant() -> None:
    assert tokens().issue(grant(ends_in=10), CLIENT_ID, ISSUER, frozenset())[1] == 10


def test_a_good_token_is_its_client() -> None:
    found = tokens().principal(issued(audience=f"{ISSUER}/mcp"))
    assert found.owner == f"client:{key_of(CLIENT_ID)}"
    assert found.via is Via.OAUTH
    assert found.rights.scopes == {"mcp:read", "mcp:invoke"}
    assert found.expires_at == NOW + 3600
    assert found.revocables == {f"grant:{'ab' * 16}", f"client:{key_of(CLIENT_ID)}"}
    assert found.resource == "/mcp"
    assert CLIENT_ID not in repr(found), "the id of a registered client is a secret"


def test_a_token_for_the_origin_opens_everything() -> None:
    assert (tokens().principal(issued())).resource is None


def test_the_owner_of_a_metadata_client_is_the_single_grant() -> None:
    """Everybody who uses the client has the same client id."""
    assert (tokens().principal(issued(client_id=URL))).owner == f"client:{key_of(URL)}:{'ab' * 16}"


def test_the_owner_after_a_login_is_the_person() -> None:
    person = Person("user:corp:alice", {"email": "alice@corp.example", "phone": "1"})
    own = tokens(profile=["email", "groups"])
    found = own.principal(issued(own, person=person))
    assert found.owner == "user:corp:alice"
    assert found.claims == {"email": "alice@corp.example"}
    assert found.revocables == {f"grant:{'ab' * 16}", f"client:{key_of(CLIENT_ID)}"}


def test_a_token_of_the_previous_secret_is_good() -> None:
    assert (tokens(SECRET, FORMER).principal(issued(tokens(FORMER)))).owner
    with pytest.raises(Unauthenticated):
        tokens(SECRET).principal(issued(tokens(FORMER)))


def test_a_new_token_is_signed_with_the_newest_secret() -> None:
    assert (tokens(SECRET).principal(issued(tokens(SECRET, FORMER)))).owner


@pytest.mark.parametrize("secret", ["", "s" * 31, "ä" * 15])
def test_a_short_secret_is_refused(secret: str) -> None:
    """RFC 7518, section 3.2: "A key of the same size as the hash output [...] or larger MUST be used"."""
    with pytest.raises(ValueError, match="32 bytes"):
        tokens(secret)


def test_times_are_the_databases() -> None:
    own = tokens(at=NOW + 3600 + SKEW_SECONDS - 1)
    assert (own.principal(issued())).owner
    with pytest.raises(Unauthenticated, match="expired"):
        tokens(at=NOW + 3600 + SKEW_SECONDS).principal(issued())
    with pytest.raises(Unauthenticated, match="future"):
        tokens(at=NOW - SKEW_SECONDS - 1).principal(issued())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.com"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "https://other.example.com"},
        {"aud": [ISSUER, "https://other.example.com"]},
        {"aud": f"{ISSUER}/tasks"},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": "never"},
        {"exp": 1e300},
        {"exp": True},
        {"iat": None},
        {"jti": None},
        {"jti": ["x"]},
        {"scope": ["mcp:read"]},
        {"client_id": {}},
        {"asya_claims": "x"},
        {"asya_claims": [1]},
    ],
)
def test_a_token_with_other_claims_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(signed(claims))


def _without_signature(header: dict[str, Any]) -> str:
    parts = [json.dumps(header).encode(), json.dumps({"iss": ISSUER}).encode(), b""]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS384", "HS512", "RS256"])
def test_the_algorithm_is_ours_whatever_the_header_says(alg: str) -> None:
    """RFC 8725, section 3.1: "Libraries MUST enable the caller to specify a supported set of algorithms"."""
    token = _without_signature({"alg": alg, "typ": "JWT"})
    assert not tokens().claims(token)
    with pytest.raises(Unauthenticated):
        tokens().principal(token)


def test_a_token_of_another_algorithm_with_our_secret_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        tokens("s" * 64).principal(signed({}, "s" * 64, alg="HS512"))


def test_an_asymmetric_token_in_our_name_is_refused() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(issued(), options={"verify_signature": False})
    with pytest.raises(Unauthenticated):
        tokens().principal(jwt.encode(claims, key, "RS256"))


@pytest.mark.parametrize("header", [{"kid": "../../etc/passwd"}, {"jku": "https://evil.example"}, {"jwk": {"k": "x"}}])
def test_headers_of_a_token_choose_no_key(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(signed({}, OTHER, **header))


def test_a_critical_header_that_is_not_understood_refuses_the_token() -> None:
    """RFC 7515, section 4.1.11."""
    with pytest.raises(Unauthenticated):
        tokens().principal(signed({}, crit=["x"], x=1))


async def test_a_revoked_token_is_refused() -> None:
    revocations = Revocations(lambda _: True, lambda: 0.0)
    verifier = OwnTokenVerifier(tokens(), revocations)
    token = issued()
    with pytest.raises(Unavailable):
        await verifier.verify(token)
    revocations.seen(0.0)
    assert (await verifier.verify(token)).owner
    for subject in (f"grant:{'ab' * 16}", f"client:{key_of(CLIENT_ID)}"):
        other = Revocations(lambda _: True, lambda: 0.0)
        other.learn([Revocation(subject, NOW + 60)], NOW)
        other.seen(0.0)
        with pytest.raises(Unauthenticated, match="revoked"):
            await OwnTokenVerifier(tokens(), other).verify(token)


@pytest.mark.parametrize("own", [tokens(), tokens(OTHER), tokens(at=NOW + 1e6)])
async def test_no_token_is_called_bad_while_revocations_are_not_known(own: OwnTokens) -> None:
    """Clients throw away what they have after 401."""
    with pytest.raises(Unavailable):
        await OwnTokenVerifier(own, Revocations(lambda _: True)).verify(issued())


def test_tokens_of_others_are_left_to_others() -> None:
    assert tokens().claims(issued())
    assert not tokens().claims(signed({"iss": "https://issuer.example"}))
    assert not tokens().claims("asya_key_text")
    assert not tokens().claims("a" * LONGEST_TOKEN + ".b.c")


def test_the_grant_of_an_expired_token_is_found_for_its_revocation() -> None:
    assert tokens(at=NOW + 1e6).grant_in(issued()) == ("ab" * 16, key_of(CLIENT_ID))
    assert tokens().grant_in(issued(tokens(OTHER))) is None
    assert tokens().grant_in("x") is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(text)


@given(st.integers(0, 2), st.integers(0, 400), st.characters(codec="ascii"))
def test_a_changed_token_is_refused(part: int, place: int, character: str) -> None:
    parts = issued().split(".")
    text = parts[part]
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    forged = ".".join([*parts[:part], changed, *parts[part + 1 :]])
    if _same_bytes(changed, text):
        return
    with pytest.raises(Unauthenticated):
        tokens().principal(forged)


def _same_bytes(one: str, other: str) -> bool:
    """The last character of base64 has bits that stand for nothing."""
    padded = [each + "=" * (-len(each) % 4) for each in (one, other)]
    try:
        return base64.urlsafe_b64decode(padded[0]) == base64.urlsafe_b64decode(padded[1])
    except ValueError:
        return False


def test_claims_of_a_person_are_carried_as_they_are() -> None:
    """Half of a surrogate pair, a number that no double has, and the deepest claim that a provider's token may have."""
    deep: Any = "x"
    for _ in range(DEEPEST - 1):
        deep = [deep]
    claims = {"half": "\ud83d", "large": 10**40, "deep": deep, "tiny": 1e-300}
    person = Person("user:corp:alice", claims)
    own = tokens(profile=list(claims))
    assert own.principal(issued(own, person=person)).claims == claims


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "[" * 200 + "]" * 200])
def test_a_payload_that_is_no_good_json_is_refused(value: str) -> None:
    header, payload, _ = issued().split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    content = ".".join([header, _base64url(f'{text[:-1]},"x":{value}}}'.encode())])
    token = f"{content}.{_base64url(hmac.digest(SECRET.encode(), content.encode(), 'sha256'))}"
    assert not tokens().claims(token)
    with pytest.raises(Unauthenticated):
        tokens().principal(token)


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def test_a_deeply_nested_payload_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
    header = issued().split(".")[0]
    assert not tokens().claims(f"{header}.{deep}.x")


class TestSealing:
    def test_only_the_token_opens_its_successor(self) -> None:
        sealed = SuccessorSealing().seal("asya_refresh_one", "asya_refresh_two")
        assert SuccessorSealing().unseal("asya_refresh_one", sealed) == "asya_refresh_two"
        assert SuccessorSealing().unseal("asya_refresh_other", sealed) is None

    def test_what_is_stored_contains_nothing_of_it(self) -> None:
        sealed = SuccessorSealing().seal("asya_refresh_one", "asya_refresh_two")
        assert b"refresh" not in sealed
        assert sealed != SuccessorSealing().seal("asya_refresh_one", "asya_refresh_two")

    @pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 60])
    def test_other_bytes_are_no_successor(self, sealed: bytes) -> None:
        assert SuccessorSealing().unseal("asya_refresh_one", sealed) is None


def test_a_token_that_would_not_be_accepted_is_not_issued() -> None:
    scopes = [f"flow:a-flow-with-a-rather-long-name-{number:03}:invoke" for number in range(256)]
    long = frozenset(scopes[:180])
    token, _ = tokens().issue(grant(), CLIENT_ID, ISSUER, long)
    assert 8192 < len(token) <= LONGEST_TOKEN
    assert tokens().principal(token).rights.scopes == long
    with pytest.raises(InvalidScope, match="fewer scopes"):
        tokens().issue(grant(), CLIENT_ID, ISSUER, frozenset(scopes))
