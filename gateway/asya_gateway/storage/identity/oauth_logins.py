"""Authorizations that wait for a person, in Postgres."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.logins import LoginKey
from asya_gateway.storage.database import Database

_OF_KEY = "state = $1 AND browser = $2 AND expires_at > now()"

_BEGIN = """
INSERT INTO oauth_logins (state, browser, request, expires_at) VALUES ($1, $2, $3, now() + $4 * interval '1 second')
"""
_WAITING = f"SELECT request FROM oauth_logins WHERE {_OF_KEY} AND person IS NULL"
_LOGGED_IN = f"""
UPDATE oauth_logins SET person = $3, claims = $4 WHERE {_OF_KEY} AND person IS NULL RETURNING true
"""
_FINISH = f"DELETE FROM oauth_logins WHERE {_OF_KEY} RETURNING request, person, claims"


class PostgresLogins:
    """LoginStore on the table oauth_logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, key: LoginKey, request: Mapping[str, Any], seconds: float) -> None:
        """Remember an authorization request."""
        await self._database.execute(_BEGIN, key.state, key.browser, jsontext.dumps(dict(request)), seconds)

    async def waiting(self, key: LoginKey) -> Mapping[str, Any] | None:
        """The request whose person has not logged in yet."""
        found = await self._database.fetchval(_WAITING, key.state, key.browser)
        return None if found is None else jsontext.loads(found)

    async def logged_in(self, key: LoginKey, person: Person) -> bool:
        """Note who logged in."""
        claims = jsontext.dumps(dict(person.claims))
        return bool(await self._database.fetchval(_LOGGED_IN, key.state, key.browser, person.id, claims))

    async def finish(self, key: LoginKey) -> tuple[Mapping[str, Any], Person | None] | None:
        """Forget the authorization and return it."""
        row = await self._database.fetchrow(_FINISH, key.state, key.browser)
        if row is None:
            return None
        person = None if row["person"] is None else Person(row["person"], jsontext.loads(row["claims"]))
        return jsontext.loads(row["request"]), person
