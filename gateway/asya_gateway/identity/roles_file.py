"""ASYA_ROLES_FILE: which scopes roles give, and who has them.

roles:
  viewer: {scopes: [mcp:read]}
  analyst: {inherits: [viewer], scopes: [mcp:invoke, reports]}
  operator: {description: answers and cancels for others, inherits: [analyst], scopes: ["task:any:cancel"]}
keys:
  ci: [analyst]
claims:
  - {claim: groups, value: data-team, roles: [analyst]}
  - {claim: [realm_access, roles], values: [ops, admin], issuer: corp, roles: [operator]}
"""

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from asya_crds.mistakes import FieldMistake
from asya_gateway.domain.identity.roles import ClaimRule, RoleBook, Value, ancestors, inherited, inherited_caps
from asya_gateway.identity.fields import Role, Roles, Scopes
from asya_gateway.mounted.documents import read_document
from asya_gateway.mounted.watching import WatchedFile

MOST_ROLES = 1000
MOST_RULES = 1000
"""Each token is held against all of them."""


class RoleEntry(BaseModel):
    """What one role gives."""

    model_config = ConfigDict(extra="forbid", strict=True)

    description: str = ""
    scopes: Scopes = Field(default_factory=list)
    inherits: Roles = Field(default_factory=list)
    max_open_tasks: Annotated[int, Field(ge=0)] | None = None
    """None: what it inherits, or ASYA_MAX_OPEN_TASKS_PER_OWNER; 0: no limit."""


class ClaimEntry(BaseModel):
    """Who has roles by a claim: `claim` is a name, or the names that lead to it through objects."""

    model_config = ConfigDict(extra="forbid", strict=True)

    claim: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]],
        Field(min_length=1, max_length=8),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ]
    value: Value | None = None
    values: Annotated[list[Value], Field(max_length=1000)] = Field(default_factory=list)
    issuer: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None
    roles: Annotated[Roles, Field(min_length=1)]

    @model_validator(mode="after")
    def _has_values(self) -> "ClaimEntry":
        if (self.value is None) == (not self.values):
            raise ValueError("expected either value or values")
        return self

    def rule(self) -> ClaimRule:
        """The rule that this entry means."""
        values = tuple(self.values) if self.value is None else (self.value,)
        return ClaimRule(tuple(self.claim), values, frozenset(self.roles), self.issuer)


class RolesFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    roles: Annotated[dict[Role, RoleEntry], Field(max_length=MOST_ROLES)]
    keys: Annotated[dict[str, Roles], Field(max_length=100_000)] = Field(default_factory=dict)
    claims: Annotated[list[ClaimEntry], Field(max_length=MOST_RULES)] = Field(default_factory=list)

    @property
    def parents(self) -> dict[str, list[str]]:
        """What each role inherits directly."""
        return {name: role.inherits for name, role in self.roles.items()}

    def mistakes(self) -> Iterator[FieldMistake]:
        """Roles that are used and not defined, and roles that inherit themselves."""
        parents = self.parents
        for name, role in self.roles.items():
            yield from self._unknown(("roles", name, "inherits"), role.inherits)
            if name in ancestors(name, parents):
                yield FieldMistake(("roles", name, "inherits"), "the role inherits itself")
        for name, roles in self.keys.items():
            yield from self._unknown(("keys", name), roles)
        for index, entry in enumerate(self.claims):
            yield from self._unknown(("claims", index, "roles"), entry.roles)

    def _unknown(self, path: tuple[str | int, ...], roles: list[str]) -> Iterator[FieldMistake]:
        for index, role in enumerate(roles):
            if role not in self.roles:
                yield FieldMistake((*path, index), f"there is no role {role!r}")


def read_roles(text: bytes) -> RoleBook:
    """The roles of a file. An empty file is a mistake: `roles: {}` says that there are none. Raises InvalidFile."""
    document = read_document(text, RolesFile, lambda file: file.mistakes())
    return RoleBook(
        inherited({name: frozenset(role.scopes) for name, role in document.roles.items()}, document.parents),
        inherited_caps(
            {name: role.max_open_tasks for name, role in document.roles.items() if role.max_open_tasks is not None},
            document.parents,
        ),
        {name: frozenset(roles) for name, roles in document.keys.items()},
        tuple(entry.rule() for entry in document.claims),
    )


def watch_roles(path: str, on_change: Callable[[RoleBook], None], *, poll_interval: float) -> WatchedFile[RoleBook]:
    """The file's roles in `value`. While it is broken, emptied or away, what it said last stays in force; before it was
    ever good, nobody has roles."""
    return WatchedFile("file of roles", path, read_roles, poll_interval=poll_interval, on_change=on_change)
