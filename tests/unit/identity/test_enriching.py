"""What is added to a caller: profiles of identity services and roles."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.principals import ANONYMOUS, Principal, Via
from asya_gateway.domain.identity.profiles import Profile
from asya_gateway.domain.identity.roles import NO_ROLES
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of
from asya_gateway.identity.enriching import Enriching
from asya_gateway.identity.roles_file import read_roles

BOOK = read_roles(
    b"""
roles: {viewer: {scopes: [mcp:read]}, analyst: {scopes: [reports], max_open_tasks: 7}, tester: {scopes: [tests]}}
keys: {ci: [tester]}
claims:
  - {claim: groups, value: data-team, issuer: corp, roles: [analyst]}
"""
)


class Known:
    """An identity service that knows one person."""

    def __init__(self, profile: Profile | None) -> None:
        self.known = profile
        self.asked: list[Mapping[str, Any]] = []

    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        self.asked.append(claims)
        return self.known


class Away:
    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        raise Unavailable("the identity service is not available")


def principal(owner: str = "jwt:corp:ann:x", via: Via = Via.JWT, scopes: str = "mcp:read", **claims: Any) -> Principal:
    return Principal(owner, rights_of(frozenset(scopes.split())), via, claims=claims, expires_at=7.0)


async def test_a_profile_adds_scopes_roles_and_facts_and_replaces_nothing() -> None:
    profile = Profile(frozenset({"vip"}), frozenset({"viewer"}), {"department": "finance", "sub": "eve", "iss": "eve"})
    service = Known(profile)
    found = await Enriching([service], lambda: BOOK).extended(principal(sub="ann:x", iss="https://corp"))
    assert found.owner == "jwt:corp:ann:x"
    assert found.rights.scopes == {"mcp:read", "vip"}
    assert found.claims == {"sub": "ann:x", "iss": "https://corp", "department": "finance"}
    assert found.expires_at == 7.0
    assert service.asked == [{"sub": "ann:x", "iss": "https://corp"}]


async def test_a_principal_keeps_the_claims_and_facts_that_are_wanted_of_it() -> None:
    service = Known(Profile(facts={"department": "finance", "phone": "7"}))
    enriching = Enriching([service], lambda: BOOK, kept={"sub", "department", "email"})
    found = await enriching.extended(principal(sub="ann:x", groups=["data-team"]))
    assert found.claims == {"sub": "ann:x", "department": "finance"}
    assert found.rights.scopes == {"mcp:read", "reports"}, "roles come from all claims"


async def test_facts_give_no_roles() -> None:
    """Roles come from what the issuer has signed."""
    service = Known(Profile(facts={"groups": ["data-team"]}))
    found = await Enriching([service], lambda: BOOK).extended(principal())
    assert found.rights.scopes == {"mcp:read"}


async def test_claims_give_roles_of_their_issuer_alone() -> None:
    enriching = Enriching(roles=lambda: BOOK)
    found = await enriching.extended(principal(groups=["data-team"]))
    assert found.rights.scopes == {"mcp:read", "reports"}
    assert found.roles == {"analyst"}
    assert found.max_open_tasks == 7
    other = principal("jwt:other:ann", groups=["data-team"])
    assert await enriching.extended(other) is other


async def test_an_unknown_person_keeps_what_the_token_gives() -> None:
    given = principal()
    assert await Enriching([Known(None)], lambda: BOOK).extended(given) is given


async def test_a_key_gets_the_roles_of_its_name_and_no_service_is_asked() -> None:
    service = Known(Profile(frozenset({"vip"})))
    enriching = Enriching([service], lambda: BOOK)
    key = principal("key:ci", Via.KEY)
    assert (await enriching.extended(key)).rights.scopes == {"mcp:read", "tests"}
    other = principal("key:other", Via.KEY)
    assert await enriching.extended(other) is other
    assert service.asked == []


@pytest.mark.parametrize(
    "given", [principal("client:abc", Via.OAUTH), principal("user:corp:ann", Via.OAUTH), ANONYMOUS]
)
async def test_a_token_of_our_own_holds_what_was_granted_and_no_more(given: Principal) -> None:
    service = Known(Profile(frozenset({"vip"})))
    assert await Enriching([service], lambda: BOOK).extended(given) is given
    assert service.asked == []


async def test_a_key_has_the_roles_that_it_names() -> None:
    key = replace(principal("key:other", Via.KEY), roles=frozenset({"analyst", "gone"}))
    found = await Enriching(roles=lambda: BOOK).extended(key)
    assert found.rights.scopes == {"mcp:read", "reports"}
    assert found.roles == {"analyst", "gone"}
    assert found.max_open_tasks == 7


async def test_while_a_service_fails_its_callers_are_unavailable_and_keys_are_not() -> None:
    enriching = Enriching([Away()])
    with pytest.raises(Unavailable):
        await enriching.extended(principal())
    key = principal("key:ci", Via.KEY)
    assert await enriching.extended(key) is key


async def test_a_person_who_logs_in_holds_roles_and_profile() -> None:
    service = Known(Profile(frozenset({"vip"})))
    enriching = Enriching([service], lambda: BOOK)
    assert await enriching.scopes_of("user:corp:ann:x", {"groups": "data-team"}) == {"vip", "reports"}
    assert service.asked == [{"groups": "data-team", "sub": "ann:x"}]
    assert await enriching.cap_of("user:corp:ann:x", {"groups": "data-team"}) == 7
    assert await enriching.cap_of("user:corp:ann:x", {}) is None


async def test_without_a_file_of_roles_a_person_may_use_every_ordinary_flow() -> None:
    assert await Enriching().scopes_of("user:corp:ann", {}) == COMMON_SCOPES


async def test_what_a_person_holds_is_not_known_before_the_roles_are() -> None:
    with pytest.raises(Unavailable):
        await Enriching(roles=lambda: NO_ROLES).scopes_of("user:corp:ann", {})
    assert await Enriching(roles=lambda: read_roles(b"roles: {}")).scopes_of("user:corp:ann", {}) == frozenset()
