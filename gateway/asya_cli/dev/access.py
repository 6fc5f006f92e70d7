"""Who may call in `asya dev`: the secret of its authorization server, and the run's own key."""

import os
import secrets
from pathlib import Path
from typing import Any

from asya_cli.auth import keys
from asya_cli.database import database_session
from asya_cli.errors import CliError

OWN_NAME = "asya-dev"
OWN_SCOPES = frozenset({"mcp:read", "task:any:read"})
"""To show every flow and everybody's tasks, and no more."""
SECRET_FILE = "oauth-secret"  # noqa: S105 # the name of a file
LEAST_SECRET = 32


def issuing(url: str, folder: Path) -> dict[str, Any]:
    """Settings of a gateway at `url` that is its own authorization server. Its secret is kept in `folder`, so that a
    login is good in the next run too. Raises CliError."""
    return {
        "mcp_oauth_enabled": True,
        "mcp_oauth_issuer": url,
        "mcp_oauth_secret": _kept_secret(folder / SECRET_FILE),
    }


async def own_key(database_url: str) -> str:
    """A key with which this run asks its own gateway. Those of earlier runs end. Raises CliError."""
    async with database_session(database_url) as connection:
        await keys.revoke_all(connection, OWN_NAME)
        key, _, _ = await keys.create(connection, keys.Wanted(OWN_NAME, OWN_SCOPES, frozenset(), None))
        return key.text


def _kept_secret(path: Path) -> str:
    """The secret in a file that only its owner can read; a new one if there is none."""
    try:
        found = path.read_text().strip() if path.exists() else ""
        if len(found) >= LEAST_SECRET:
            return found
        made = secrets.token_urlsafe(48)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
    except OSError as error:
        raise CliError(f"{path}: cannot keep the secret of the authorization server there: {error.strerror}") from error
    return made
