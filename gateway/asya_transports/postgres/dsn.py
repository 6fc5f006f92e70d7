"""Parses PostgreSQL addresses in all their usual forms, for every program, and converts them for the driver.

The driver sends unknown parameters to the server, which then refuses the session, and it splits a password at unescaped
characters. Here every parameter is used, or refused by name, and no message contains any part of a password. This
module imports no driver.
"""

import getpass
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

EXPECTED = "expected a PostgreSQL URL, postgresql://user:password@host:5432/name"
_SCHEME = re.compile(r"(?:postgresql|postgres)(?:\+[a-z0-9_]+)?://", re.IGNORECASE)
"""The driver's name in URLs such as `postgresql+asyncpg://`, from SQLAlchemy, is ignored."""
_HOSTS = re.compile(r"[A-Za-z0-9_.,:%~-]*(?:\[[0-9A-Fa-f:.%a-z]*\][0-9:,A-Za-z_.-]*)*")
_KEYWORD = re.compile(r"\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)", re.DOTALL)

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_ATTRIBUTES = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")


class InvalidDsn(ValueError):
    """The address is invalid or unsupported. The text names the parameter and contains no value."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """TCP keepalive settings, in seconds. By default a dead peer is noticed within half a minute, because the system's
    default of two hours is too long."""

    enabled: bool = True
    idle: int = 5
    interval: int = 2
    count: int = 3
    user_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Dsn:
    """One address. `driver` has the driver's parameters; `connect_timeout` is in seconds, None if not given."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    driver: Mapping[str, str] = field(default_factory=dict, repr=False)
    server_settings: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: float | None = None
    keepalive: KeepAlive = KeepAlive()
    system_certificates: bool = False
    """`sslrootcert=system`: the server's certificate is verified against the operating system's certificates."""

    def hosts(self) -> list[tuple[str, str] | None]:
        """Host and port of each server in order; [None] if the address has none, and the driver uses its defaults."""
        names = [name for name in self.driver.get("host", "").split(",") if name]
        ports = self.driver.get("port", "").split(",")
        return [(name, ports[index % len(ports)]) for index, name in enumerate(names)] or [None]

    def url(self, host: tuple[str, str] | None = None) -> str:
        """The address of one host for the driver, with every part percent-encoded and without the password."""
        login = "" if self.user is None else quote(self.user, safe="")
        name = "" if self.database is None else quote(self.database, safe="")
        driver = dict(self.driver) | ({"host": host[0], "port": host[1]} if host else {})
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in driver.items() if value)
        return f"postgresql://{login and login + '@'}/{name}{query and '?' + query}"


def parse_dsn(text: str) -> Dsn:
    """Read a URL, or libpq's `host=… dbname=…`. Raises InvalidDsn."""
    text = text.strip()
    given = _read_url(text) if _SCHEME.match(text) else _read_keywords(text)
    read = _Reader(_without_aliases(given))
    read.take_all()
    return read.dsn()


def check_dsn(text: str) -> str:
    """The text, if `parse_dsn` accepts it and the user is known; raises InvalidDsn."""
    if parse_dsn(text).user is None and not os.environ.get("PGUSER"):
        _check_own_name()
    return text


def _check_own_name() -> None:
    """As in libpq, an address without a user means the user that runs the program. In a container this user may have no
    name."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise InvalidDsn(
            f"expected a user in the database's URL, postgresql://user@…, since the user id {os.geteuid()} that runs "
            "this program has no name here"
        ) from None


def _without_aliases(given: Mapping[str, str]) -> dict[str, str]:
    """`dbname` under the driver's name, and `ssl` as libpq and SQLAlchemy mean it: `true` (JDBC's word) or a mode."""
    found = {"database" if name == "dbname" else name: value for name, value in given.items()}
    if (mode := found.pop("ssl", None)) is not None:
        _one_of("ssl", mode, ("true", *SSL_MODES))
        found["sslmode"] = "require" if mode == "true" else mode
    return found


def _read_url(text: str) -> dict[str, str]:
    rest = text[text.index("://") + 3 :]
    login, rest = _split_login(rest)
    authority, separator, query = rest.partition("?")
    hosts, _, name = authority.partition("/")
    if not _HOSTS.fullmatch(hosts):
        raise InvalidDsn(EXPECTED)
    given: dict[str, str] = {}
    if login is not None:
        user, colon, password = login.partition(":")
        given["user"] = unquote(user)
        if colon:
            given["password"] = unquote(password)
    if hosts:
        given |= _hosts_and_ports(unquote(hosts))
    if name:
        given["database"] = unquote(name)
    for pair in filter(None, query.split("&") if separator else ()):
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch("[A-Za-z_]+", key):
            raise InvalidDsn(f"{EXPECTED}?parameter=value")
        given[key] = unquote(value)
    return given


def _split_login(rest: str) -> tuple[str | None, str]:
    """Splits off `user:password` before the @. A password may contain any unescaped character, including @, slash and
    question mark, so the last @ is used with which both sides are valid."""
    places = [index for index, character in enumerate(rest) if character == "@"]
    for at in reversed(places):
        login, tail = rest[:at], rest[at + 1 :]
        authority, _, query = tail.partition("?")
        hosts = authority.partition("/")[0]
        if not _HOSTS.fullmatch(hosts) or (query and not all("=" in part for part in query.split("&"))):
            continue
        # An @ in a parameter's value does not end a login.
        before, question, parameters = login.partition("?")
        if question and "=" in parameters and ("/" in before or "@" in before or ":" not in before):
            continue
        return login, tail
    if places and not all("?" in rest[:at] for at in places):
        raise InvalidDsn(EXPECTED)
    return None, rest


def _hosts_and_ports(hosts: str) -> dict[str, str]:
    names, ports = [], []
    for each in hosts.split(","):
        name, port = each, ""
        if each.startswith("["):
            name, _, port = each[1:].partition("]")
            port = port.removeprefix(":")
        elif not each.startswith("/"):
            name, _, port = each.partition(":")
        names.append(name)
        ports.append(port)
    found = {"host": ",".join(names)}
    return found | ({"port": ",".join(port or "5432" for port in ports)} if any(ports) else {})


def _read_keywords(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _KEYWORD.match(text, at)
        if found is None:
            raise InvalidDsn(EXPECTED)
        given[found[1]] = re.sub(r"\\(.)", r"\1", found[2] if found[2] is not None else found[3], flags=re.DOTALL)
        at = found.end()
    if not given:
        raise InvalidDsn(EXPECTED)
    return given


class _Reader:
    """Collects the parameters, each by its own rule."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._driver: dict[str, str] = {}
        self._server: dict[str, str] = {}
        self._system = given.get("sslrootcert") == "system"

    def take_all(self) -> None:
        """Take every parameter. Raises InvalidDsn."""
        for name, value in self._given.items():
            self._take(name, value)

    def _take(self, name: str, value: str) -> None:
        if name in ("user", "password", "database") or name in _NUMBERS or name in _IGNORED:
            check = _NUMBERS.get(name)
            if check is not None:
                check(name, value)
            return
        if name in _CHOICES:
            _one_of(name, value, _CHOICES[name])
        if name in _HARMLESS:
            _one_of(name, value, _HARMLESS[name])
        elif name in _SERVER:
            self._server[name] = value
        elif name in ("host", "hostaddr"):
            self._driver["host"] = _bracketed(self._given.get("hostaddr") or value)
        elif name == "port":
            self._driver["port"] = _ports(value)
        elif name in _DRIVER:
            self._driver[name] = value
        else:
            hint = "a server's setting is given by options=-c name=value"
            raise InvalidDsn(f"the parameter {name[:40]} of the database's URL is not known here; {hint}")

    def dsn(self) -> Dsn:
        """The complete address."""
        given, driver = self._given, self._driver
        if self._system:
            # The driver would look for a file with that name. As in libpq, only verify-full is useful here.
            if given.get("sslmode", "verify-full") != "verify-full":
                raise InvalidDsn(
                    "the parameter sslmode of the database's URL: expected verify-full with sslrootcert=system"
                )
            driver = {name: value for name, value in driver.items() if not name.startswith("ssl")}
            driver |= {name: given[name] for name in ("sslcert", "sslkey", "sslpassword") if name in given}
        if "host" in driver and "port" not in driver:
            driver["port"] = ",".join("5432" for _ in driver["host"].split(","))
        return Dsn(
            user=given.get("user"),
            password=given.get("password"),
            database=given.get("database"),
            driver=driver,
            server_settings=self._server,
            connect_timeout=_seconds(given, "connect_timeout"),
            keepalive=_keepalive(given),
            system_certificates=self._system,
        )


def _bracketed(hosts: str) -> str:
    """IPv6 addresses in the form that the driver expects in a list."""
    names = [name.strip("[]") for name in hosts.split(",")]
    for name in names:
        _check_host(name)
    return ",".join(f"[{name}]" if ":" in name and not name.startswith("/") else name for name in names)


def _check_host(name: str) -> None:
    """Refuse a name that the resolver does not accept, for example one with a label of 64 characters."""
    if name.startswith(("/", "@")) or ":" in name:
        return
    try:
        name.encode("idna")
    except UnicodeError:
        raise InvalidDsn("the host of the database's URL: expected a name, an address or a socket's folder") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidDsn(f"the parameter {name} of the database's URL: expected {' or '.join(allowed)}")


def _number(name: str, value: str) -> None:
    if not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise InvalidDsn(f"the parameter {name} of the database's URL: expected a whole number")


def _ports(value: str) -> str:
    if not all(re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) <= 65_535 for port in value.split(",")):
        raise InvalidDsn("the port of the database's URL: expected a number from 1 to 65535")
    return value


def _seconds(given: Mapping[str, str], name: str) -> float | None:
    """Seconds by libpq's rules: 0 and less mean no limit, and less than two seconds mean two."""
    value = int(given.get(name, "0"))
    return None if value <= 0 else float(max(2, value))


def _keepalive(given: Mapping[str, str]) -> KeepAlive:
    usual = KeepAlive()

    def number(name: str, default: int) -> int:
        return int(given.get(name, "0")) or default

    return KeepAlive(
        enabled=given.get("keepalives", "1") != "0",
        idle=number("keepalives_idle", usual.idle),
        interval=number("keepalives_interval", usual.interval),
        count=number("keepalives_count", usual.count),
        user_timeout=number("tcp_user_timeout", round(usual.user_timeout * 1000)) / 1000,
    )


_NUMBERS: Mapping[str, Callable[[str, str], None]] = dict.fromkeys(
    ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    _number,
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": SSL_MODES,
    "target_session_attrs": SESSION_ATTRIBUTES,
    "sslnegotiation": ("postgres", "direct"),
    "gsslib": ("gssapi", "sspi"),
}
_HARMLESS: Mapping[str, tuple[str, ...]] = {
    # The driver supports neither channel binding nor GSSAPI encryption, so only values that do not require them are
    # accepted.
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "load_balance_hosts": ("disable",),
    "client_encoding": ("UTF8", "utf8", "UTF-8", "utf-8", "auto"),
    "sslcompression": ("0", "1"),
    "sslsni": ("1",),
    "replication": ("false", "off", "no", "0"),
}
_SERVER = frozenset({"application_name", "options", "search_path"})
_IGNORED = frozenset({"fallback_application_name"})
_DRIVER = frozenset(
    {
        "passfile", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "krbsrvname", "gsslib",
    }
)  # fmt: skip
