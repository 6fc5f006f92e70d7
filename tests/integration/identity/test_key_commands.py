"""`asya auth key`: what it stores, what it prints, and what it refuses."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from asya_gateway.domain.identity.key_text import id_in
from asya_gateway.identity.key_file import read_keys
from servers.forking import run

Asya = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def asya(database_url: str) -> Asya:
    """The command on the test's database."""

    def command(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
        environment = kept | {"ASYA_DATABASE_URL": database_url} | variables
        return run("asya_cli", "auth", "key", *words, env=environment, timeout=30)

    return command


def created(asya: Asya, *words: str) -> str:
    done = asya("create", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def listed(asya: Asya, *words: str) -> list[dict[str, Any]]:
    done = asya("list", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["keys"]
    return found


async def beat(url: str, name: str, mode: str, is_open: bool | None) -> None:
    """A live pod, as its heartbeat leaves it; None is a pod of a version that does not say whether it is open."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO gateway_pods (name, mode, generation, open, started_at, heartbeat_at)"
            " VALUES ($1, $2, 0, $3, now(), now())",
            name,
            mode,
            is_open,
        )
    finally:
        await connection.close()


def test_a_role_that_the_file_of_roles_does_not_define_is_warned_of(asya: Asya, tmp_path: Path) -> None:
    file = tmp_path / "roles.yaml"
    file.write_text("roles: {ops: {}}")
    words = ("create", "ci", "--role", "ops", "--role", "opps")
    warning = "# warning: ASYA_ROLES_FILE defines no role opps; until it does, that gives nothing\n"
    for more in ((), ("--entry",)):
        assert asya(*words, *more, ASYA_ROLES_FILE=str(file)).stderr.endswith(warning)
    assert "warning" not in asya(*words).stderr
    assert "warning" not in asya("create", "ci", "--role", "ops", ASYA_ROLES_FILE=str(file)).stderr


def test_a_new_key_is_printed_once_alone_on_stdout(asya: Asya) -> None:
    done = asya("create", "ci")
    key = done.stdout.removesuffix("\n")
    assert id_in(key) is not None
    assert done.stderr.startswith(f"{id_in(key)} of key:ci: mcp:invoke, mcp:read; it does not expire.")
    assert key not in done.stderr
    for words in (("list",), ("list", "--json"), ("list", "--all")):
        assert key.split("_")[2][:20] not in asya(*words).stdout


def test_scopes_roles_and_expiry_are_those_of_the_options(asya: Asya) -> None:
    created(
        asya, "ci", "--scope", "flow:a:invoke", "--scope", "task:any:read", "--role", "ops", "--expires", "2037-01-01"
    )
    [key] = listed(asya)
    assert (key["name"], key["scopes"], key["roles"], key["expires_at"], key["last_used_at"], key["state"]) == (
        "ci",
        ["flow:a:invoke", "task:any:read"],
        ["ops"],
        "2037-01-01T00:00:00Z",
        None,
        "in force",
    )


def test_a_rotated_key_may_do_what_its_predecessor_may(asya: Asya) -> None:
    created(asya, "ci", "--scope", "flow:a:invoke", "--role", "ops")
    created(asya, "ci")
    created(asya, "other")
    assert [(key["scopes"], key["roles"]) for key in listed(asya)] == [
        (["flow:a:invoke"], ["ops"]),
        (["flow:a:invoke"], ["ops"]),
        (["mcp:invoke", "mcp:read"], []),
    ]


def test_a_key_with_roles_alone_has_no_scopes_of_its_own(asya: Asya) -> None:
    created(asya, "ci", "--role", "ops")
    assert [(key["scopes"], key["roles"]) for key in listed(asya)] == [([], ["ops"])]


def test_a_key_is_revoked_by_its_id_by_its_name_or_as_a_whole(asya: Asya) -> None:
    keys = [created(asya, "ci") for _ in range(4)]
    ids = [id_in(key) for key in keys]
    assert asya("revoke", str(ids[0])).stdout == f"revoked {ids[0]}\n"
    assert asya("revoke", keys[1]).stdout == f"revoked {ids[1]}\n"
    assert sorted(asya("revoke", "ci").stdout.split("\n")) == sorted(["", f"revoked {ids[2]}", f"revoked {ids[3]}"])
    assert listed(asya) == []
    assert {key["state"] for key in listed(asya, "--all")} == {"revoked"}
    done = asya("revoke", "ci")
    assert (done.returncode, done.stderr) == (
        1,
        "error: no living key has this id or name; `asya auth key list` shows them\n",
    )


def test_keys_are_listed_as_a_table(asya: Asya) -> None:
    assert asya("list").stderr == "there are no keys; make one with `asya auth key create NAME`\n"
    key = created(asya, "ci")
    head, line = asya("list").stdout.splitlines()
    assert head.split() == ["NAME", "ID", "SCOPES", "ROLES", "MADE", "EXPIRES", "LAST", "USED", "STATE"]
    assert re.fullmatch(rf"ci +{id_in(key)} +mcp:invoke mcp:read +\d{{4}}-\S+Z +in force *", line)


def test_an_entry_for_the_file_needs_no_database_and_is_read_as_it_was_asked_for(asya: Asya, tmp_path: Path) -> None:
    options = ("--scope", "flow:*:read", "--role", "ops", "--expires", "2037-01-01", "--entry")
    done = asya("create", "ci", *options, ASYA_DATABASE_URL="")
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    [record] = read_keys(f"keys:\n{done.stderr}".encode())
    assert (record.id, record.name) == (id_in(key), "ci")
    assert (sorted(record.scopes), sorted(record.roles), record.expires_at) == (["flow:*:read"], ["ops"], 2114380800.0)
    assert key.split("_")[2][:20] not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("create", "ci", "--expires", "2020-01-01"), "--expires: expected a time in the future, not '2020-01-01'"),
        (("revoke", "asya_x"), "ID|NAME: that is a key with a mistake in it"),
    ],
)
def test_a_wrong_argument_ends_the_command_and_nothing_is_stored(
    asya: Asya, words: tuple[str, ...], complaint: str
) -> None:
    done = asya(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {complaint}")
    assert listed(asya, "--all") == []


def test_a_database_that_is_away_or_too_old_is_said(asya: Asya, empty_database_url: str) -> None:
    nowhere = asya("list", ASYA_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (nowhere.returncode, nowhere.stderr.startswith("error: the database cannot be reached")) == (3, True)
    unset = asya("list", ASYA_DATABASE_URL="")
    assert (unset.returncode, unset.stderr.startswith("error: ASYA_DATABASE_URL: expected a PostgreSQL URL")) == (
        2,
        True,
    )
    empty = asya("list", ASYA_DATABASE_URL=empty_database_url)
    assert (empty.returncode, "run `asya migrate`" in empty.stderr) == (1, True)


@pytest.mark.parametrize(
    ("mode", "is_open", "warns"),
    [("api", True, True), ("testing", None, True), ("api", False, False), ("mesh", True, False)],
)
async def test_a_key_for_a_gateway_that_asks_for_none_is_made_with_a_warning(
    asya: Asya, database_url: str, mode: str, is_open: bool | None, warns: bool
) -> None:
    await beat(database_url, "pod-1", mode, is_open)
    done = asya("create", "ci")
    assert done.returncode == 0
    assert (
        "warning: 1 gateway pods admit callers without a key (pod-1); set ASYA_AUTH=required" in done.stderr
    ) is warns
