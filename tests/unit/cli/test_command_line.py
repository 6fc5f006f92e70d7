"""Every command ends with an exit code that says what happened, and with one line where it failed."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from asya_cli.main import app
from asya_crds.readable import is_readable
from servers.forking import run

ASYA = Path(sys.executable).parent / "asya"


def asya(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
    return run("asya_cli", *words, env=kept | variables, timeout=30)


def asya_script(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed script."""
    return subprocess.run([str(ASYA), *words], capture_output=True, text=True, timeout=30, check=False)


def test_help_names_every_command() -> None:
    done = asya_script("--help")
    assert done.returncode == 0
    for command in ("dev", "serve", "actor", "migrate", "tool", "task"):
        assert f"\n  {command} " in done.stdout


def groups_of(command: TyperGroup, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperGroup]]:
    """A group and all groups below it, with the words that lead to them."""
    yield words, command
    for name, each in command.commands.items():
        if isinstance(each, TyperGroup):
            yield from groups_of(each, (*words, name))


def test_no_list_of_commands_cuts_what_a_command_does() -> None:
    for words, group in groups_of(cast("TyperGroup", get_command(app))):
        shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=80).stdout
        lines = shown.partition("Commands:\n")[2].splitlines()
        assert len(lines) == len(group.commands)
        assert [line for line in lines if line.endswith("...")] == []


def test_help_imports_nothing_heavy() -> None:
    heavy = ("aiohttp", "asyncpg", "pydantic", "kopf", "yaml", "rich.console")
    code = f"import sys, asya_cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_answers_at_once() -> None:
    asya_script("--help")
    best = min(_cpu_seconds_of_help() for _ in range(3))
    # It takes 0.16 s; the bound leaves room for a busy machine, and is far below what one heavy import adds.
    assert best < 0.6


def _cpu_seconds_of_help() -> float:
    """Of the command's own CPU: what else the machine does is no part of it."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    asya_script("--help")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


@pytest.mark.parametrize(
    ("words", "variables", "code", "complaint"),
    [
        (["serve"], {}, 2, "ASYA_GATEWAY_MODE: expected one of api, mesh, testing"),
        (["serve"], {"ASYA_GATEWAY_MODE": "api", "ASYA_MCP_OAUTH_ENABLED": "1"}, 2, "ASYA_MCP_OAUTH_ISSUER, ASYA"),
        (["migrate"], {}, 2, "@host:5432/name; it is not set"),
        (["migrate"], {"ASYA_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, 3, "the database cannot be reached"),
        (["tool", "list"], {"ASYA_URL": "http://127.0.0.1:1"}, 3, "no gateway responds at http://127.0.0.1:1"),
        (["tool", "call", "x"], {"ASYA_URL": "http://127.0.0.1:1"}, 3, "no gateway responds"),
        (["task", "get", "x"], {"ASYA_URL": "http://127.0.0.1:1"}, 3, "no gateway responds"),
        (["task", "watch", "x"], {"ASYA_URL": "not a url"}, 2, "ASYA_URL"),
        (["tool", "list", "--url", "127.0.0.1:8080"], {}, 2, "--url or ASYA_URL: expected http://host:port"),
        (
            ["flow", "list"],
            {"KUBECONFIG": "/no/such/kubeconfig"},
            3,
            "set KUBECONFIG, or run in a pod; the flows of `asya dev` are in the flows.yaml of its folder",
        ),
        (["dev", "/nowhere/at/all"], {}, 2, "/nowhere/at/all: no such folder"),
        (["dev", "/"], {}, 2, "/flows.yaml: no such file"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    words: list[str], variables: dict[str, str], code: int, complaint: str
) -> None:
    done = asya(*words, **variables)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_debug_shows_where_it_failed() -> None:
    done = asya("--debug", "tool", "list", ASYA_URL="http://127.0.0.1:1")
    assert done.returncode == 3
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: no gateway responds")


def test_debug_shows_control_sequences_of_others_as_escapes() -> None:
    """The traceback repeats the error's text, which may quote what another program or a caller wrote."""
    done = asya("--debug", "dev", "/nowhere/\x1b]0;title\x07\u202e")
    assert done.returncode == 2, done.stderr
    traceback, _, last = done.stderr.rstrip("\n").rpartition("\n")
    assert traceback.startswith("Traceback (most recent call last):\n")
    for said in (traceback.splitlines()[-1], last):
        assert r"/nowhere/\x1b]0;title\x07\u202e: no such folder" in said
    assert is_readable(done.stderr)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://user:s3cr/et@127.0.0.1:1/db", "the database cannot be reached"),
        ("postgresql://user:s3cr@et#@127.0.0.1:1/db", "the database cannot be reached"),
        ("postgresql://user:s3cr:et@127.0.0.1:x:1/d b c?", "ASYA_DATABASE_URL: "),
    ],
)
def test_a_database_url_never_shows_its_password(url: str, said: str) -> None:
    done = asya("migrate", ASYA_DATABASE_URL=url, ASYA_DEBUG="1")
    assert done.returncode != 0
    assert said in done.stderr
    assert "s3cr" not in done.stdout + done.stderr


def test_an_operator_without_a_cluster_says_so_and_how_to_name_one() -> None:
    done = asya("operator", KUBECONFIG="/no/such/kubeconfig", KUBERNETES_SERVICE_HOST="", ASYA_OPERATOR_PORT="0")
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: no cluster: ")
    assert "KUBECONFIG" in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "more"),
    [(["flow", "list"], "; the flows of `asya dev` are in the flows.yaml of its folder"), (["operator"], "")],
)
def test_a_user_id_without_a_name_and_without_a_home_is_told_what_to_set(words: list[str], more: str) -> None:
    """As any id in a container is, where nothing sets HOME."""
    code = (
        "import pwd, sys\n"
        "def nobody(uid): raise KeyError(uid)\n"
        f"pwd.getpwuid = nobody; sys.argv = ['asya', *{words!r}]\n"
        "from asya_cli.main import main; main()"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "KUBECONFIG")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    told = f"error: no cluster: there is no /.kube/config; set KUBECONFIG, or run in a pod{more}"
    assert done.stderr.splitlines()[-1] == told
