"""The file of roles: what it says, and how mistakes in it are told."""

from typing import Any

import pytest

from asya_gateway.domain.identity.roles import RoleBook
from asya_gateway.identity.roles_file import read_roles
from asya_gateway.mounted.watching import InvalidFile

FILE = """\
roles:
  viewer: {scopes: [mcp:read]}
  analyst: {inherits: [viewer], scopes: [mcp:invoke, reports]}
  operator:
    description: answers and cancels for others
    inherits: [analyst]
    scopes: ["task:any:cancel"]
    max_open_tasks: 50
  batch: {inherits: [operator]}
  free: {max_open_tasks: 0}
keys:
  ci: [analyst]
claims:
  - {claim: groups, value: data-team, roles: [analyst]}
  - {claim: [realm_access, roles], values: [ops, admin], issuer: corp, roles: [operator]}
  - {claim: "https://acme.example.com/level", value: 3, roles: [viewer]}
  - {claim: staff, value: true, roles: [viewer]}
  - {claim: email, value: ann@acme.example.com, roles: [viewer]}
"""


@pytest.fixture(scope="module")
def book() -> RoleBook:
    return read_roles(FILE.encode())


def test_a_role_has_the_scopes_of_what_it_inherits(book: RoleBook) -> None:
    assert book.scopes_of(["viewer"]) == {"mcp:read"}
    assert book.scopes_of(["operator"]) == {"mcp:read", "mcp:invoke", "reports", "task:any:cancel"}
    assert book.scopes_of(["viewer", "gone"]) == {"mcp:read"}


@pytest.mark.parametrize(
    ("roles", "cap"),
    [
        ([], None), (["viewer"], None), (["operator"], 50), (["batch"], 50), (["viewer", "operator"], 50),
        (["operator", "free"], 0), (["gone"], None),
    ],
)  # fmt: skip
def test_the_most_generous_cap_of_the_roles_counts(book: RoleBook, roles: list[str], cap: int | None) -> None:
    assert book.cap_of(roles) == cap


def test_a_roles_own_cap_counts_before_what_it_inherits() -> None:
    book = read_roles(
        b"roles: {a: {max_open_tasks: 9}, b: {max_open_tasks: 20}, "
        b"c: {inherits: [a], max_open_tasks: 3}, d: {inherits: [a, b]}}"
    )
    assert (book.cap_of(["c"]), book.cap_of(["d"])) == (3, 20)


def test_a_key_has_the_roles_of_its_name(book: RoleBook) -> None:
    assert book.of_key("ci") == {"analyst"}
    assert not book.of_key("other")


@pytest.mark.parametrize(
    ("claims", "issuer", "roles"),
    [
        ({"groups": "data-team"}, "corp", {"analyst"}),
        ({"groups": ["x", "data-team"]}, "other", {"analyst"}),
        ({"groups": ["data-teams", "Data-Team"]}, "corp", set()),
        ({"groups": {"data-team": 1}}, "corp", set()),
        ({"groups": [["data-team"]]}, "corp", set()),
        ({"realm_access": {"roles": ["admin"]}}, "corp", {"operator"}),
        ({"realm_access": {"roles": ["admin"]}}, "other", set()),
        ({"realm_access": ["roles"], "roles": ["admin"]}, "corp", set()),
        ({"realm_access.roles": ["admin"]}, "corp", set()),
        ({"https://acme.example.com/level": 3}, "corp", {"viewer"}),
        ({"https://acme.example.com/level": "3"}, "corp", set()),
        ({"staff": True}, "corp", {"viewer"}),
        ({"staff": 1}, "corp", set()),
        ({"email": "ann@acme.example.com", "email_verified": True}, "corp", {"viewer"}),
        ({"email": "ann@acme.example.com"}, "corp", set()),
        ({"email": "ann@acme.example.com", "email_verified": "true"}, "corp", set()),
        ({}, "corp", set()),
    ],
)
def test_claims_give_roles(book: RoleBook, claims: dict[str, Any], issuer: str, roles: set[str]) -> None:
    assert book.of_claims(claims, issuer) == roles


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "roles: required field is missing"),
        ("[]", "expected an object"),
        ("roles: {a: {scopes: [mcp:read]}}\nrules: []", "line 2: rules: unknown field"),
        ("roles:\n  a: {scopes: mcp:read}", "line 2: roles.a.scopes: expected a list"),
        ("roles:\n  a:\n    scopes: ['a b']", "line 3: roles.a.scopes.0: expected a scope"),
        (
            "roles:\n  a:\n    scopes: ['mcp:reed']",
            "line 3: roles.a.scopes.0: mcp:reed gives nothing; expected mcp:read or",
        ),
        ("roles:\n  a:\n    inherit: [b]", "line 3: roles.a.inherit: unknown field (did you mean inherits?)"),
        ("roles:\n  a:\n    inherits: [b]", "line 3: roles.a.inherits.0: there is no role 'b'"),
        ("roles:\n  a: {inherits: [b]}\n  b: {inherits: [a]}", "line 2: roles.a.inherits: the role inherits itself"),
        ("roles: {}\nkeys:\n  ci: [a]", "line 3: keys.ci.0: there is no role 'a'"),
        ("roles: {a: {}}\nclaims:\n- {claim: groups, roles: [a]}", "line 3: claims.0: expected either value or values"),
        (
            "roles: {a: {}}\nclaims:\n- {claim: g, value: x, roles: [b]}",
            "line 3: claims.0.roles.0: there is no role 'b'",
        ),
        ("roles: {a: {}}\nclaims:\n- {claim: g, value: x, roles: []}", "line 3: claims.0.roles"),
        ("roles: {a: {}}\nclaims:\n- {claim: [], value: x, roles: [a]}", "line 3: claims.0.claim"),
        ("roles: {a: {}}\nclaims:\n- {claim: g, value: {}, roles: [a]}", "line 3: claims.0.value"),
        ("roles: {a: {}}\nclaims:\n- {claim: g, value: x, issuer: 'A b', roles: [a]}", "line 3: claims.0.issuer"),
        ("roles:\n  'a b': {}", "line 2: roles.a b"),
        ("roles:\n  a: {}\n  a: {}", "line 3: roles.a: the key occurs twice"),
        ("roles:\n  a: {max_open_tasks: -1}", "line 2: roles.a.max_open_tasks: expected at least 0"),
        ("roles: }", "line 1: not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, mistake: str) -> None:
    with pytest.raises(InvalidFile) as told:
        read_roles(text.encode())
    assert mistake in str(told.value)


def test_aliases_of_no_issuer_are_told_from_others(book: RoleBook) -> None:
    assert book.strange_issuers(["corp", "staff"]) == []
    assert book.strange_issuers(["staff"]) == ["corp"]


def test_a_file_may_say_that_there_are_no_roles() -> None:
    assert read_roles(b"roles: {}").scopes_of(["a"]) == frozenset()
