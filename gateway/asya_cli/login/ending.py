"""The end of a login."""

from asya_cli.errors import CliError
from asya_cli.login.oauth_http import oauth_session
from asya_cli.login.store import LoginFolder
from asya_cli.login.tokens import revoke


async def log_out(gateway: str, store: LoginFolder) -> bool:
    """Revoke and forget the login; False if there was none. It is forgotten even if it cannot be revoked. Raises
    CliError then."""
    async with store.locked():
        login = store.read(gateway)
        store.remove(gateway)
    if login is None:
        return False
    async with oauth_session() as session:
        try:
            await revoke(session, login)
        except CliError as error:
            raise CliError(f"the login is removed here, but was not revoked: {error.message}", error.code) from error
    return True
