"""Adds to a caller what others know of it: profiles of identity services, and roles."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.profiles import Profile, Profiles
from asya_gateway.domain.identity.roles import NO_ROLES, RoleBook
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of


class Enriching:
    """Scopes are added, never taken, and the id stays what it is.

    `roles` returns the roles in force; None if there is no file of roles. Then everybody whom an issuer vouches for may
    use every ordinary flow. `kept` are the claims and facts that the principal keeps, since thousands of principals are
    remembered and tokens may be long; None keeps all.
    """

    def __init__(
        self,
        services: Sequence[Profiles] = (),
        roles: Callable[[], RoleBook] | None = None,
        kept: Collection[str] | None = None,
    ) -> None:
        self._services = tuple(services)
        self._roles = roles
        self._kept = kept

    async def extended(self, principal: Principal) -> Principal:
        """A caller with a key gets the roles that the key names and those of its name; one with a token of an issuer
        those of its claims and profile. A token of our own already has what was granted. Raises Unavailable."""
        kind, _, rest = principal.owner.partition(":")
        if principal.via is Via.KEY and kind == "key":
            return self._with(principal, Profile(roles=principal.roles | self._book.of_key(rest)))
        if principal.via is not Via.JWT:
            return principal
        issuer, _, subject = rest.partition(":")
        found = self._with(principal, await self._known_of(principal.claims, issuer, subject))
        if self._kept is None:
            return found
        return replace(found, claims={name: found.claims[name] for name in self._kept if name in found.claims})

    async def scopes_of(self, owner: str, claims: Mapping[str, Any]) -> frozenset[str]:
        """Every scope that the person `user:<issuer alias>:<sub>` with these verified claims holds now. Raises
        Unavailable, also while the file of roles was never good: whoever were told that a person holds nothing would
        throw its grant away."""
        if self._roles is not None and self._book is NO_ROLES:
            raise Unavailable("the roles are not known now")
        _, issuer, subject = owner.split(":", 2)
        known = await self._known_of(claims, issuer, subject)
        scopes = known.scopes | self._book.scopes_of(known.roles)
        return scopes if self._roles is not None else scopes | COMMON_SCOPES

    async def cap_of(self, owner: str, claims: Mapping[str, Any]) -> int | None:
        """How many tasks of this person may be open, by its roles. Raises Unavailable."""
        _, issuer, subject = owner.split(":", 2)
        return self._book.cap_of((await self._known_of(claims, issuer, subject)).roles)

    @property
    def _book(self) -> RoleBook:
        return NO_ROLES if self._roles is None else self._roles()

    async def _known_of(self, claims: Mapping[str, Any], issuer: str, subject: str) -> Profile:
        """What all services know together, with the roles that the claims give."""
        scopes, roles, facts = set[str](), set(self._book.of_claims(claims, issuer)), dict[str, Any]()
        for service in self._services:
            profile = await service.profile({**claims, "sub": subject})
            if profile is not None:
                scopes |= profile.scopes
                roles |= profile.roles
                facts = {**profile.facts, **facts}
        return Profile(frozenset(scopes), frozenset(roles), facts)

    def _with(self, principal: Principal, known: Profile) -> Principal:
        if known == _NOTHING:
            return principal
        scopes = principal.rights.scopes | known.scopes | self._book.scopes_of(known.roles)
        return replace(
            principal,
            rights=rights_of(scopes),
            claims={**known.facts, **principal.claims},
            roles=known.roles,
            max_open_tasks=self._book.cap_of(known.roles),
        )


_NOTHING = Profile()
