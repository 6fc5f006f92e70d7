"""The port that `asya dev` takes."""

import socket
from pathlib import Path

import pytest

from asya_cli.dev import ports
from asya_cli.errors import CliError


def test_a_taken_port_gives_way_to_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        port = ports.take_port(wanted, tmp_path)
        port.release()
        assert port.number > wanted


def test_a_free_port_is_taken_as_it_is(tmp_path: Path) -> None:
    wanted = unused_port()
    port = ports.take_port(wanted, tmp_path)
    port.release()
    assert port.number == wanted


def test_two_runs_that_start_together_take_different_ports(tmp_path: Path) -> None:
    wanted = unused_port()
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


def unused_port() -> int:
    """A port that nobody listens to now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
