"""Which roles a caller has, and which scopes they give (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """Gives roles to callers whose token has a value in a claim. `path` leads to the claim through objects."""

    path: tuple[str, ...]
    values: tuple[Value, ...]
    roles: frozenset[str]
    issuer: str | None = None
    """Alias of the issuer whose tokens this is about; None for every issuer."""

    def fits(self, claims: Mapping[str, Any], issuer: str) -> bool:
        """Whether the claim is one of the values, or a list that contains one. An e-mail address that its issuer has
        not verified is nobody's."""
        if self.issuer not in (None, issuer):
            return False
        if self.path == ("email",) and claims.get("email_verified") is not True:
            return False
        found: Any = claims
        for part in self.path:
            found = found.get(part) if isinstance(found, Mapping) else None
        return any(
            _same(each, value) for each in (found if isinstance(found, list) else [found]) for value in self.values
        )


@dataclass(frozen=True, slots=True)
class RoleBook:
    """A file of roles. `scopes` and `caps` have for each role what it inherits, too."""

    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    """Most open tasks of one caller, for roles that say it; 0 means no limit."""
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Roles of API keys, by name."""
    rules: tuple[ClaimRule, ...] = ()

    def scopes_of(self, roles: Iterable[str]) -> frozenset[str]:
        """What these roles give together. A role that is not in the file gives nothing."""
        return frozenset().union(*(self.scopes.get(role, frozenset()) for role in roles))

    def cap_of(self, roles: Iterable[str]) -> int | None:
        """The most generous cap of these roles; None if none of them has one."""
        return most_generous(self.caps[role] for role in roles if role in self.caps)

    def of_key(self, name: str) -> frozenset[str]:
        """The roles of the API key with this name."""
        return self.keys.get(name, frozenset())

    def of_claims(self, claims: Mapping[str, Any], issuer: str) -> frozenset[str]:
        """The roles of a caller with these claims, which the issuer with this alias vouches for."""
        return frozenset().union(*(rule.roles for rule in self.rules if rule.fits(claims, issuer)))

    def strange_issuers(self, known: Iterable[str]) -> list[str]:
        """Aliases in rules that none of these issuers has, so that the rules give nothing."""
        return sorted({rule.issuer for rule in self.rules if rule.issuer is not None} - set(known))


NO_ROLES = RoleBook()


def inherited(scopes: Mapping[str, frozenset[str]], parents: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The scopes of each role together with those of its parents, theirs, and so on."""
    return {
        role: own.union(*(scopes.get(each, frozenset()) for each in ancestors(role, parents)))
        for role, own in scopes.items()
    }


def inherited_caps(caps: Mapping[str, int], parents: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """The cap of each role that has one: its own, or the most generous one that it inherits."""
    found = dict(caps)
    for role in parents.keys() - caps.keys():
        cap = most_generous(caps[each] for each in ancestors(role, parents) if each in caps)
        if cap is not None:
            found[role] = cap
    return found


def most_generous(caps: Iterable[int]) -> int | None:
    """The largest cap, where 0 means no limit; None if there are none."""
    found = set(caps)
    return None if not found else 0 if 0 in found else max(found)


def ancestors(role: str, parents: Mapping[str, Iterable[str]]) -> set[str]:
    """The role's parents, theirs, and so on; the role itself is among them if it inherits itself."""
    found: set[str] = set()
    unseen = [role]
    while unseen:
        fresh = set(parents.get(unseen.pop(), ())) - found
        found |= fresh
        unseen += fresh
    return found


def _same(found: Any, value: Value) -> bool:
    """1 is not true."""
    return type(found) is type(value) and found == value
