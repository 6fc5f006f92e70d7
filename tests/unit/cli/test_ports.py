"""The port that `asya dev` takes."""

import socket
from pathlib import Path

import pytest

from asya_cli.dev import ports
from asya_cli.errors import CliError
from servers.ports import free_port


def test_a_taken_port_gives_way_to_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        port = ports.take_port(wanted, tmp_path)
        port.release()
        assert port.number > wanted


def test_a_free_port_is_taken_as_it_is(tmp_path: Path) -> None:
    wanted = free_port()
    port = ports.take_port(wanted, tmp_path)
    port.release()
    assert port.number == wanted


def test_two_runs_that_start_together_take_different_ports(tmp_path: Path) -> None:
    wanted = free_port()
    first, second = ports.take_port(wanted, tmp_path), ports.take_port(wanted, tmp_path)
    assert first.number == wanted
    assert second.number != wanted
    first.release()
    third = ports.take_port(wanted, tmp_path)
    assert third.number == wanted
    for port in (second, third):
        port.release()


def test_no_free_port_among_the_tries_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "TRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CliError, match="no free port"):
            ports.take_port(taken.getsockname()[1], tmp_path)


def test_any_free_port_is_not_an_ephemeral_one(tmp_path: Path) -> None:
    first, second = ports.take_port(0, tmp_path), ports.take_port(0, tmp_path)
    assert first.number != second.number
    for port in (first, second):
        assert 10_000 <= port.number < 32_768
        port.release()
