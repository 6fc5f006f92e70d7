"""Tokens of a login, renewed when they end."""

import contextlib
import time
from collections.abc import Callable

from asya_cli.bearers import NOBODY, Bearer, TokenSource
from asya_cli.errors import CliError
from asya_cli.login.store import Login, LoginFolder, user_store
from asya_cli.options import follow_up

EARLY = 30.0
"""Seconds before its end at which a token is renewed, so that it does not end on the way."""


class LoginBearer:
    """Gives the tokens of a stored login. Implements Bearer.

    Commands that run at once renew one after the other, and each reads first what the others have stored: a refresh
    token works once, and presenting it again later would end the login.
    """

    held = TokenSource.LOGIN

    def __init__(
        self,
        login: Login,
        store: LoginFolder,
        now: Callable[[], float] = time.time,  # noqa: TID251 # compared with this clock alone, to renew early
    ) -> None:
        self._login, self._store, self._now = login, store, now

    async def token(self) -> str:
        """The access token, renewed if it is about to end. If it cannot be renewed, the gateway judges the old one: it
        may ask nobody who it is by now."""
        if self._ends(self._login) and self._login.refresh_token:
            with contextlib.suppress(CliError):
                await self._renew("")
        return self._login.access_token

    async def renewed(self, refused: str) -> str:
        """The access token after the gateway refused this one: another command may have renewed it. Raises
        CliError."""
        await self._renew(refused)
        return "" if self._login.access_token == refused else self._login.access_token

    async def _renew(self, refused: str) -> None:
        from asya_cli.login.oauth_http import OAuthRefused, oauth_session
        from asya_cli.login.tokens import refresh

        gateway = self._login.gateway
        async with self._store.locked(), oauth_session() as session:
            stored = self._store.read(gateway)
            if stored is None:
                raise CliError(f"you are logged out of {gateway}; log in with `{follow_up('login')}`")
            self._login = stored
            if not stored.refresh_token or not (self._ends(stored) or stored.access_token == refused):
                return
            try:
                self._login = await refresh(session, stored)
            except OAuthRefused as error:
                if error.oauth_code not in ("invalid_grant", "invalid_client"):
                    raise
                raise CliError(f"your login at {gateway} has ended; log in again with `{follow_up('login')}`") from None
            self._store.write(self._login)

    def _ends(self, login: Login) -> bool:
        return self._now() > login.expires_at - EARLY


def login_bearer(gateway: str) -> Bearer:
    """The tokens of this user's login at a gateway; none if there is none. Raises CliError."""
    store = user_store()
    login = store.read(gateway)
    return NOBODY if login is None else LoginBearer(login, store)
