"""Persons in a file: `{"users": [{"id": …, "name": …, "email": …, "scopes": […], "roles": […]}]}`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import override

from asya_crds.mistakes import FieldMistake
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.principals import LONGEST_SUBJECT
from asya_gateway.domain.identity.profiles import Profile, Profiles
from asya_gateway.identity.fields import Roles, Scopes
from asya_gateway.identity.jwt.claims import is_subject
from asya_gateway.mounted.documents import read_document
from asya_gateway.mounted.watching import WatchedFile

MOST_USERS = 100_000


def _check_id(value: str) -> str:
    if not is_subject(value):
        raise ValueError(f"expected 1 to {LONGEST_SUBJECT} characters without control characters")
    return value


class User(BaseModel):
    """One person. `id` is the `sub` of the person's tokens."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, AfterValidator(_check_id)]
    name: str | None = None
    email: Annotated[str, Field(min_length=3, max_length=320)] | None = None
    scopes: Scopes = Field(default_factory=list)
    roles: Roles = Field(default_factory=list)

    def profile(self) -> Profile:
        """What the file says of this person."""
        facts = {"name": self.name, "email": self.email}
        return Profile(
            frozenset(self.scopes),
            frozenset(self.roles),
            {name: value for name, value in facts.items() if value is not None},
        )


class UsersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    users: Annotated[list[User], Field(max_length=MOST_USERS)]

    def mistakes(self) -> Iterator[FieldMistake]:
        """Ids and addresses that occur twice: it would be left open whose scopes count."""
        seen: set[tuple[str, str]] = set()
        for index, user in enumerate(self.users):
            for name, value in (("id", user.id), ("email", user.email)):
                if value is None:
                    continue
                if (name, value.lower() if name == "email" else value) in seen:
                    yield FieldMistake(("users", index, name), "it occurs twice")
                seen.add((name, value.lower() if name == "email" else value))


class Users:
    """The persons of one content of the file."""

    def __init__(self, file: UsersFile) -> None:
        self._by_id = {user.id: user.profile() for user in file.users}
        self._by_email = {user.email.lower(): user.profile() for user in file.users if user.email is not None}

    def find(self, claims: Mapping[str, Any]) -> Profile | None:
        """By `sub`, and otherwise by an e-mail address that the issuer has verified."""
        found = self._by_id.get(claims["sub"])
        email = claims.get("email")
        if found is None and isinstance(email, str) and claims.get("email_verified") is True:
            found = self._by_email.get(email.lower())
        return found


def read_users(text: bytes) -> Users:
    """Raises InvalidFile."""
    return Users(read_document(text, UsersFile, lambda file: file.mistakes()))


class LocalFile(Profiles):
    """Reads the file again when it changes. Until it was good once, nobody can be judged."""

    def __init__(self, path: str, on_change: Callable[[], None], *, poll_interval: float) -> None:
        self._file = WatchedFile(
            "file of users", path, read_users, poll_interval=poll_interval, on_change=lambda _: on_change()
        )

    async def start(self) -> None:
        """Read the file, and again when it changes."""
        await self._file.start()

    async def stop(self) -> None:
        """May be called twice."""
        await self._file.stop()

    @override
    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        if self._file.value is None:
            raise Unavailable("the identity service is not available")
        return self._file.value.find(claims)
