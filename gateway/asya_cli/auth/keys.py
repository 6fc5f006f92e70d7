"""The work of `asya auth key`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asya_cli.auth.arguments import acting, check_each
from asya_cli.errors import CliError, UsageProblem
from asya_crds.durations import parse_duration
from asya_gateway.domain.identity.key_text import NewKey, id_in, looks_like_key, new_key
from asya_gateway.domain.identity.keys import MOST_KEYS, KeyRecord, check_key_name
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, MOST_SCOPES
from asya_gateway.identity.fields import check_role, check_scope
from asya_gateway.identity.key_file import parse_time
from asya_gateway.identity.roles_file import read_roles
from asya_gateway.mounted.watching import InvalidFile
from asya_gateway.storage.clock import database_time
from asya_gateway.storage.identity.keys import TooManyKeys, create_key, revoke_keys, scopes_and_roles_of
from asya_gateway.storage.registry.store import open_pods

if TYPE_CHECKING:
    from asyncpg import Connection

_DAYS = re.compile(r"(\d{1,4})d")
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a key ends, as it was written: at a time, or so many seconds from now."""

    text: str
    at: float | None = None
    seconds: float = 0.0

    def time(self, now: float) -> float:
        """Unix seconds. `now` is the clock of whoever judges the key. Raises UsageProblem."""
        at = now + self.seconds if self.at is None else self.at
        if at <= now:
            raise UsageProblem(f"--expires: expected a time in the future, not {self.text[:40]!r}")
        return at


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. Without scopes and roles, the defaults apply."""

    name: str
    scopes: frozenset[str]
    roles: frozenset[str]
    expires: Expiry | None


def wanted(name: str, scopes: list[str], roles: list[str], expires: str) -> Wanted:
    """Checks the arguments. Raises UsageProblem naming the argument and what was expected."""
    for what, values, check in (
        ("NAME", [name], check_key_name),
        ("--scope", scopes, check_scope),
        ("--role", roles, check_role),
    ):
        check_each(what, values, check, MOST_SCOPES)
    return Wanted(name, frozenset(scopes), frozenset(roles), _expiry(expires) if expires else None)


def made(wanted: Wanted, former: tuple[list[str], list[str]] | None, now: float) -> tuple[NewKey, KeyRecord]:
    """A new key. `former` are scopes and roles of the newest living key of the name. Raises UsageProblem."""
    scopes, roles = wanted.scopes, wanted.roles
    if not scopes and not roles:
        scopes, roles = (COMMON_SCOPES, roles) if former is None else (frozenset(former[0]), frozenset(former[1]))
    key = new_key()
    expires_at = None if wanted.expires is None else wanted.expires.time(now)
    return key, KeyRecord(key.id, wanted.name, key.hash, scopes, roles, expires_at)


def strange_roles(record: KeyRecord) -> list[str]:
    """The key's roles that ASYA_ROLES_FILE does not define, if this program has the file; they give nothing."""
    path = os.environ.get("ASYA_ROLES_FILE", "")
    if not path or not record.roles:
        return []
    try:
        book = read_roles(Path(path).read_bytes())
    except (OSError, InvalidFile):
        return []
    return sorted(record.roles - book.scopes.keys())


async def create(connection: "Connection", wanted: Wanted) -> tuple[NewKey, KeyRecord, list[str]]:
    """Store a new key; also returns the pods that admit callers without one. It ends by the database's clock, as
    gateways judge it. Raises CliError."""
    key, record = made(wanted, await scopes_and_roles_of(connection, wanted.name), await database_time(connection))
    try:
        await create_key(connection, record, await acting(connection))
    except TooManyKeys:
        raise CliError(f"expected at most {MOST_KEYS} living keys; revoke some first") from None
    return key, record, await open_pods(connection)


async def revoke(connection: "Connection", which: str) -> list[str]:
    """Revoke by id or name, or by a whole key that leaked; returns the ids. Raises CliError."""
    wanted = which
    if looks_like_key(which):
        key_id = id_in(which)
        if key_id is None:
            raise UsageProblem("ID|NAME: that is a key with a mistake in it; expected its id, or the caller's name")
        wanted = key_id
    revoked = await revoke_keys(connection, wanted, await acting(connection))
    if not revoked:
        raise CliError("no living key has this id or name; `asya auth key list` shows them")
    return revoked


async def revoke_all(connection: "Connection", name: str) -> None:
    """Revoke every key of a name, if there is one."""
    await revoke_keys(connection, name, await acting(connection))


def _expiry(text: str) -> Expiry:
    days = _DAYS.fullmatch(text)
    try:
        return Expiry(text, seconds=int(days[1]) * DAY if days else parse_duration(text))
    except ValueError:
        pass
    try:
        return Expiry(text, at=parse_time(text))
    except ValueError:
        raise UsageProblem(
            "--expires: expected a day such as 2027-01-01, a time such as 2027-01-01T12:00:00Z, or a duration "
            f"such as 90d or 12h, not {text[:40]!r}"
        ) from None
