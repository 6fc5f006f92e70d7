"""PostgreSQL addresses in all usual forms: each parameter is used or refused by name, and no message contains a
secret."""

import asyncio
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from asyncpg import connect_utils
from hypothesis import given
from hypothesis import strategies as st

from asya_transports.postgres.dsn import InvalidDsn, check_dsn, parse_dsn
from asya_transports.postgres.sessions import Sessions

ARGUMENTS = (
    *("dsn", "host", "port", "user", "password", "passfile", "database", "ssl", "direct_tls", "server_settings"),
    *("target_session_attrs", "krbsrvname", "gsslib", "service", "servicefile"),
)


def as_the_driver_reads_it(text: str) -> Any:
    """Addresses and parameters of the driver, for the first host."""
    dsn = parse_dsn(text)
    loop = asyncio.new_event_loop()
    try:
        nothing = dict.fromkeys(ARGUMENTS)
        given = nothing | {"dsn": dsn.url(dsn.hosts()[0]), "password": dsn.password}
        return connect_utils._parse_connect_dsn_and_args(**given)  # type: ignore[attr-defined]
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("text", "host", "user", "database"),
    [
        ("postgresql://u:p@h:5433/d", ("h", 5433), "u", "d"),
        ("postgres://u:p@h/d", ("h", 5432), "u", "d"),
        ("postgresql+asyncpg://u:p@h/d", ("h", 5432), "u", "d"),
        ("postgresql+psycopg2://u:p@h/d?sslmode=require", ("h", 5432), "u", "d"),
        ("postgresql://u:p@[::1]:5433/d", ("::1", 5433), "u", "d"),
        ("postgresql://u:p@%2Fvar%2Frun/d", "/var/run/.s.PGSQL.5432", "u", "d"),
        ("postgresql://u:p@/d?host=/var/run&port=6000", "/var/run/.s.PGSQL.6000", "u", "d"),
        ("postgresql:///d?host=h&user=u&password=p", ("h", 5432), "u", "d"),
        ("postgresql://h/d?user=u&application_name=a@b", ("h", 5432), "u", "d"),
        ("host=h port=5433 dbname=d user=u password='p w'", ("h", 5433), "u", "d"),
        ("postgresql://u:p@h/d?dbname=other", ("h", 5432), "u", "other"),
        ("postgresql://u%40x:p@h/d%2Fe", ("h", 5432), "u@x", "d/e"),
        ("postgresql://u:p@h/d?hostaddr=10.0.0.1", ("10.0.0.1", 5432), "u", "d"),
        ("  postgresql://u:p@h/d\n", ("h", 5432), "u", "d"),
    ],
)
def test_an_address_is_read_in_every_spelling(text: str, host: Any, user: str, database: str) -> None:
    [found], parameters = as_the_driver_reads_it(text)
    assert (found, parameters.user, parameters.database) == (host, user, database)


PASSWORDS = [
    "p#ss",
    "p@ss",
    "p/ss",
    "p%ss",
    "100%",
    "%zz",
    "a:b",
    "a?b",
    "a@b/c#d%e",
    "p ss",
    "p&s=s",
    "@",
    "/",
    "#",
    "[x]",
    "é🙂",
    "a+b",
]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_used_whether_or_not_it_was_escaped(password: str) -> None:
    for written in (password, quote(password, safe="")):
        [host], parameters = as_the_driver_reads_it(f"postgresql://asya:{written}@db:5433/name?sslmode=disable")
        assert (parameters.password, host, parameters.database) == (password, ("db", 5433), "name")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_any_password_is_used_where_it_is_escaped(password: str) -> None:
    assert parse_dsn(f"postgresql://u:{quote(password, safe='')}@h/d").password == password


@pytest.mark.parametrize(
    "parameters",
    [
        "channel_binding=prefer", "connect_timeout=10",
        "keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
        "keepalives=0", "tcp_user_timeout=5000", "gssencmode=disable", "gssencmode=prefer", "sslrootcert=system",
        "sslmode=verify-full&sslrootcert=system", "sslmode=disable", "ssl=require", "target_session_attrs=read-write",
        "application_name=mine", "options=-c%20geqo=off", "search_path=mine",
        "client_encoding=UTF8", "load_balance_hosts=disable",
        "sslnegotiation=postgres", "fallback_application_name=x", "passfile=/nowhere", "krbsrvname=postgres",
        "sslsni=1",
    ],
)  # fmt: skip
def test_a_parameter_that_libpq_knows_is_used(parameters: str) -> None:
    as_the_driver_reads_it(f"postgresql://u:p@h/d?{parameters}")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("channel_binding=require", "channel_binding"),
        ("gssencmode=require", "gssencmode"),
        ("sslmode=maybe", "sslmode"),
        ("ssl=1", "the parameter ssl of"),
        ("sslmode=require&sslrootcert=system", "sslmode"),
        ("connect_timeout=soon", "connect_timeout"),
        ("keepalives_idle=x", "keepalives_idle"),
        ("target_session_attrs=best", "target_session_attrs"),
        ("service=mine", "service"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("pgbouncer=true", "pgbouncer"),
        ("statement_cache_size=0", "statement_cache_size"),
        ("load_balance_hosts=random", "load_balance_hosts"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("port=0", "port"),
        ("port=123456", "port"),
    ],
)
def test_one_that_cannot_be_used_is_refused_by_its_name(parameters: str, named: str) -> None:
    with pytest.raises(InvalidDsn, match=named) as refused:
        parse_dsn(f"postgresql://u:s3cret@h/d?{parameters}")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port:1/d d", "postgresql://u:s3cret@h h/d",
        f"postgresql://u:s3cret@{'a' * 64}/d", "postgresql://u:s3cret@h,a..b/d", "host=a..b password=s3cret",
        "host=h password='s3cret", "postgresql://u:s3cret@h/d?=x", "postgresql://u:s3cret@h/d?novalue",
    ],
)  # fmt: skip
def test_an_invalid_address_is_reported_without_any_part_of_it(text: str) -> None:
    with pytest.raises(InvalidDsn) as refused:
        parse_dsn(text)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nothing_that_is_shown_of_an_address_holds_its_password() -> None:
    dsn = parse_dsn("postgresql://u:s3cret@h/d?sslpassword=s3cret&sslcert=x&sslmode=disable")
    assert "s3cret" not in repr(dsn)
    assert "s3cret" not in repr(Sessions("postgresql://u:s3cret@h/d", {}))


def test_times_of_the_socket_are_those_of_the_address() -> None:
    keepalive = parse_dsn("postgresql://h/d?keepalives_idle=30&keepalives_count=9&tcp_user_timeout=2500").keepalive
    assert (keepalive.idle, keepalive.interval, keepalive.count, keepalive.user_timeout) == (30, 2, 9, 2.5)
    assert not parse_dsn("postgresql://h/d?keepalives=0").keepalive.enabled


@pytest.mark.parametrize(("value", "seconds"), [("0", None), ("-1", None), ("1", 2.0), ("10", 10.0)])
def test_the_time_to_connect_is_libpqs(value: str, seconds: float | None) -> None:
    assert parse_dsn(f"postgresql://h/d?connect_timeout={value}").connect_timeout == seconds


@pytest.mark.parametrize("written", ["ssl=true", "ssl=require", "sslmode=require"])
def test_ssl_is_the_mode_that_libpq_and_sqlalchemy_take_it_for(written: str) -> None:
    assert parse_dsn(f"postgresql://u:p@h/d?{written}").driver["sslmode"] == "require"


async def test_hosts_are_tried_in_their_order_and_each_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[tuple[str, str, float]] = []

    async def refuse(*, dsn: str, target_session_attrs: str, timeout: float, **_: Any) -> Any:
        tried.append((dsn.partition("host=")[2].partition("&")[0], target_session_attrs, timeout))
        raise TimeoutError

    monkeypatch.setattr(asyncpg, "connect", refuse)
    with pytest.raises(TimeoutError):
        await Sessions("postgresql://a,b,c:6000/d?target_session_attrs=prefer-standby", {}).connect(timeout=6)
    assert [(host, wanted) for host, wanted, _ in tried] == [
        (host, wanted) for wanted in ("standby", "any") for host in "abc"
    ]
    assert tried[0][2] == pytest.approx(2, abs=0.5)
    assert parse_dsn("postgresql://a,b,c:6000/d").hosts() == [("a", "5432"), ("b", "5432"), ("c", "6000")]


STARTING_UP = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"


@pytest.mark.parametrize("mode", ["disable", "prefer"])
@pytest.mark.parametrize(
    "said", [b"", b"E" + (len(STARTING_UP) + 4).to_bytes(4) + STARTING_UP], ids=["closed", "starting up"]
)
async def test_a_host_that_takes_a_connection_and_no_session_is_left_for_the_next(said: bytes, mode: str) -> None:
    """A load balancer without servers closes it; a server that starts says so."""
    reached = list[str]()

    async def refusing(name: str) -> asyncio.Server:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append(name)
            if said and int.from_bytes((await reader.readexactly(8))[4:]) == 80877103:
                writer.write(b"N")  # no TLS
                await reader.readexactly(8)
            writer.write(said)
            writer.close()

        return await asyncio.start_server(refuse, "127.0.0.1", 0)

    servers = [await refusing("first"), await refusing("second")]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)):
        await Sessions(f"postgresql://u:p@{hosts}/d?sslmode={mode}", {}).connect(timeout=10)
    for server in servers:
        server.close()
        await server.wait_closed()
    assert list(dict.fromkeys(reached)) == ["first", "second"]


def test_without_a_user_and_without_a_name_of_ones_own_it_is_said_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "PGUSER"):
        monkeypatch.delenv(variable, raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(InvalidDsn, match="expected a user in the database's URL"):
        check_dsn("postgresql://db/asya")
    assert check_dsn("postgresql://asya@db/asya")
    monkeypatch.setenv("PGUSER", "asya")
    assert check_dsn("postgresql://db/asya")
