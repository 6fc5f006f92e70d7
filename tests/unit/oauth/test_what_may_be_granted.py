"""Scopes of grants, resources of tokens, challenges of codes."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.errors import InvalidScope, InvalidTarget
from asya_gateway.domain.oauth.granting import asked_of_person, grantable, included, read_scope
from asya_gateway.domain.oauth.pkce import challenge_of, is_challenge
from asya_gateway.domain.oauth.resources import Resources

ORIGIN = "https://gateway.example.com"


def client(kind: ClientKind = ClientKind.REGISTERED, *scopes: str) -> Client:
    return Client("k", kind, "", scopes=frozenset(scopes or COMMON_SCOPES))


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@pytest.mark.parametrize("kind", [ClientKind.REGISTERED, ClientKind.METADATA])
@pytest.mark.parametrize(
    "asked",
    ["mcp:read mcp:invoke task:any:read", "mcp:invoke mcp:read flow:secret:invoke reports:write", "flow:*:invoke"],
)
def test_a_client_that_nobody_vouches_for_gets_the_common_scopes_at_most(kind: ClientKind, asked: str) -> None:
    """Whatever its own description says that it may have."""
    eager = client(kind, "mcp:read", "mcp:invoke", "task:any:read", "flow:secret:invoke", "reports:write")
    assert grantable(eager, words(asked)) <= COMMON_SCOPES
    assert grantable(eager, None) == COMMON_SCOPES


def test_less_than_that_is_granted_if_less_is_asked_for() -> None:
    assert grantable(client(), words("mcp:read")) == {"mcp:read"}
    assert grantable(client(ClientKind.REGISTERED, "mcp:read"), words("mcp:read mcp:invoke")) == {"mcp:read"}


def test_a_request_of_which_nothing_can_be_granted_is_refused() -> None:
    for asked in ("task:any:read", "openid", "flow:report:invoke"):
        with pytest.raises(InvalidScope, match="mcp:invoke mcp:read"):
            grantable(client(), words(asked))


def test_a_client_of_an_operator_gets_what_the_operator_gave() -> None:
    made = client(ClientKind.OPERATOR, "mcp:read", "reports:write", "task:any:read")
    assert grantable(made, None) == {"mcp:read", "reports:write", "task:any:read"}
    assert grantable(made, words("reports:write other:write")) == {"reports:write"}
    with pytest.raises(InvalidScope):
        grantable(made, words("other:write"))


def test_a_person_is_asked_for_what_the_client_asks_for_within_the_limit_of_an_operator() -> None:
    assert asked_of_person(client(), words("reports:write mcp:read")) == {"reports:write", "mcp:read"}
    assert asked_of_person(client(), None) == COMMON_SCOPES
    made = client(ClientKind.OPERATOR, "mcp:read")
    assert asked_of_person(made, words("mcp:read task:any:read")) == {"mcp:read"}
    with pytest.raises(InvalidScope):
        asked_of_person(made, words("task:any:read"))


@pytest.mark.parametrize(
    ("held", "asked", "given_scopes"),
    [
        ("mcp:read mcp:invoke", "mcp:read", "mcp:read"),
        ("flow:report:invoke", "mcp:read mcp:invoke", "flow:report:invoke"),
        ("flow:report:read", "mcp:invoke", "flow:report:read"),
        ("flow:*:invoke", "mcp:invoke", "flow:*:invoke"),
        ("task:report:cancel", "task:any:cancel", "task:report:cancel"),
        ("task:report:cancel", "task:any:read", ""),
        ("mcp:invoke", "flow:report:invoke", ""),
        ("mcp:read mcp:invoke", "mcp:invoke", "mcp:invoke"),
        ("mcp:read", "mcp:invoke", "mcp:read"),
        ("mcp:invoke", "mcp:read", ""),
        ("task:any:read mcp:read", "mcp:read", "mcp:read"),
        ("reports:write mcp:invoke", "mcp:invoke", "mcp:invoke"),
        ("", "mcp:invoke", ""),
    ],
)
def test_of_what_is_held_that_is_granted_which_the_request_includes(held: str, asked: str, given_scopes: str) -> None:
    assert included(words(held), words(asked)) == words(given_scopes)


SCOPES = st.frozensets(
    st.sampled_from(
        ["mcp:read", "mcp:invoke", "flow:a:read", "flow:a:invoke", "flow:*:read", "flow:b:invoke", "task:any:read",
         "task:a:cancel", "task:a:read", "x", "y"]
    )
)  # fmt: skip


@given(SCOPES, SCOPES)
def test_nothing_is_ever_granted_that_is_not_held(held: frozenset[str], asked: frozenset[str]) -> None:
    """A flow may require any word of its callers, so that a scope is granted only if it is held by that very word."""
    granted = included(held, asked)
    assert granted <= held
    assert held & asked <= granted


@pytest.mark.parametrize("text", ['mcp:"read', "a\\b", "a\x7f", "ä", "a\tb", "x" * 300, " ".join("x" * 300)])
def test_a_scope_that_is_none_is_refused(text: str) -> None:
    """RFC 6749, section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )."""
    with pytest.raises(InvalidScope):
        read_scope(text)


def test_an_empty_scope_is_no_scope() -> None:
    assert read_scope(None) is read_scope("") is read_scope("  ") is None
    assert read_scope(" mcp:read  mcp:read ") == frozenset({"mcp:read"})


@pytest.mark.parametrize(
    ("asked", "audience", "path"),
    [
        (None, ORIGIN, None),
        (ORIGIN, ORIGIN, None),
        (f"{ORIGIN}/", ORIGIN, None),
        (f"{ORIGIN}/mcp", f"{ORIGIN}/mcp", "/mcp"),
        (f"{ORIGIN}/mcp/", f"{ORIGIN}/mcp", "/mcp"),
        ("HTTPS://Gateway.Example.com/mcp", f"{ORIGIN}/mcp", "/mcp"),
        (f"{ORIGIN}/mcp/sse", f"{ORIGIN}/mcp/sse", "/mcp/sse"),
        (f"{ORIGIN}/a2a", f"{ORIGIN}/a2a", "/a2a"),
    ],
)
def test_a_resource_becomes_an_audience(asked: str | None, audience: str, path: str | None) -> None:
    resources = Resources(ORIGIN)
    assert resources.canonical(asked) == audience
    assert resources.path(audience) == path
    assert resources.knows(audience)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "mcp",
        "https://other.example.com/mcp",
        f"{ORIGIN}//",
        f"{ORIGIN}/MCP",
        f"{ORIGIN}/mcp#fragment",
        f"{ORIGIN}/mcp?x=1",
        f"{ORIGIN}/tasks",
        f"{ORIGIN}.evil.example",
        f"{ORIGIN}@evil.example",
        "https://[",
        "x" * 5000,
        "https://gateway.example.com/mcp\n",
    ],
)
def test_an_unknown_resource_is_an_invalid_target(asked: str) -> None:
    """RFC 8707, section 2: invalid_target if the server is "unwilling or unable to issue an access token for"."""
    with pytest.raises(InvalidTarget):
        Resources(ORIGIN).canonical(asked)


def test_a_token_request_narrows_the_authorized_resource_and_never_widens_it() -> None:
    """RFC 8707, section 2.2."""
    resources = Resources(ORIGIN)
    assert resources.narrowed(ORIGIN, f"{ORIGIN}/mcp") == f"{ORIGIN}/mcp"
    assert resources.narrowed(f"{ORIGIN}/mcp", None) == f"{ORIGIN}/mcp"
    assert resources.narrowed(f"{ORIGIN}/mcp", f"{ORIGIN}/mcp/sse") == f"{ORIGIN}/mcp/sse"
    for wider in (ORIGIN, f"{ORIGIN}/a2a"):
        with pytest.raises(InvalidTarget):
            resources.narrowed(f"{ORIGIN}/mcp", wider)


def test_the_challenge_is_the_hash_of_the_verifier() -> None:
    """The example of RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", min_size=43, max_size=128)
)
def test_every_verifier_has_its_challenge(verifier: str) -> None:
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert challenge_of(verifier) == hashed
    assert is_challenge(hashed)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 42 + "=", "a" * 43 + "\n", "ä" * 43])
def test_a_verifier_has_43_to_128_unreserved_characters(verifier: str) -> None:
    """RFC 7636, section 4.1."""
    assert challenge_of(verifier) is None


@pytest.mark.parametrize("challenge", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "+", "a" * 43 + "\n"])
def test_a_challenge_is_a_sha256_in_base64url(challenge: str) -> None:
    assert not is_challenge(challenge)
