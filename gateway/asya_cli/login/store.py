"""Logins of this user: a file for each gateway, which nobody else can read."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from asya_cli.errors import CliError
from asya_crds import jsontext

LOCK_WITHIN = 60.0
LOCK_TRY_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Login:
    """What one login left. The id of a client that registered itself is a secret, as its tokens are."""

    gateway: str
    issuer: str
    resource: str
    token_endpoint: str
    revocation_endpoint: str
    """"" if the server revokes nothing."""
    scope: str
    client_id: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    """"" if there is none."""
    expires_at: float
    """Unix seconds, by this machine's clock."""


class LoginFolder:
    """One file for each gateway, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, gateway: str) -> Login | None:
        """The login at a gateway; None if there is none, or if its file cannot be understood. Raises CliError if the
        file cannot be read."""
        path = self._path(gateway)
        try:
            found = jsontext.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            raise CliError(f"{path}: cannot be read: {error.strerror}") from error
        return _login_of(found, gateway)

    def write(self, login: Login) -> None:
        """Store a login in place of the one before, whole or not at all. Raises CliError."""
        path = self._path(login.gateway)
        try:
            handle, name = tempfile.mkstemp(prefix=".", dir=self._own_folder())  # with mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(jsontext.dumps(asdict(login)))
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise CliError(f"{path}: cannot be written: {error.strerror}") from error

    def remove(self, gateway: str) -> None:
        """Forget a login. Raises CliError."""
        path = self._path(gateway)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CliError(f"{path}: cannot be removed: {error.strerror}") from error

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncGenerator[None]:
        """Keeps other commands of this user from changing logins. It ends with the process at the latest. Raises
        CliError."""
        with _opened(self._own_folder() / "lock") as file:
            try:
                async with asyncio.timeout(LOCK_WITHIN):
                    while not _try_lock(file.fileno()):  # noqa: ASYNC110 # the kernel has no event for it
                        await asyncio.sleep(LOCK_TRY_EVERY)
            except TimeoutError:
                raise CliError(f"{file.name}: another command has held it for {LOCK_WITHIN:g} s") from None
            yield

    def _own_folder(self) -> Path:
        """The folder, which is created if it is missing. Raises CliError if it belongs to somebody else."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self._folder.lstat()
        except OSError as error:
            raise CliError(
                f"{self._folder}: cannot store logins there: {error.strerror}; set XDG_STATE_HOME"
            ) from error
        if status.st_uid != os.geteuid() or not self._folder.is_dir() or self._folder.is_symlink():
            raise CliError(f"{self._folder}: belongs to another user; logins cannot be stored there")
        return self._folder

    def _path(self, gateway: str) -> Path:
        host = "".join(each if each.isalnum() or each in ".-" else "-" for each in urlsplit(gateway).netloc)[:64]
        return self._folder / f"{host}-{hashlib.sha256(gateway.encode()).hexdigest()[:16]}.json"


def user_store() -> LoginFolder:
    """This user's logins: below $XDG_STATE_HOME (XDG Base Directory specification), else below the home folder."""
    base = Path(os.environ.get("XDG_STATE_HOME") or "")
    if not base.is_absolute():
        base = Path.home() / ".local" / "state"
    return LoginFolder(base / "asya" / "logins")


def _login_of(found: object, gateway: str) -> Login | None:
    """The login in a file's content. A file that another version wrote differently counts as none: one logs in
    again."""
    if not isinstance(found, dict) or found.keys() != {each.name for each in fields(Login)}:
        return None
    if not isinstance(found["expires_at"], int | float) or found["gateway"] != gateway:
        return None
    if not all(isinstance(value, str) for name, value in found.items() if name != "expires_at"):
        return None
    return Login(**found)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: Path) -> BinaryIO:
    """A file to lock, which is created for this user alone."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
