"""Servers of others, each in the environment of the peers (bench/peers)."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator

from bench.load import Plan, run_load
from bench.stage import Stage
from bench.work_peers import PROGRAMS, peers_python
from servers.ports import free_port
from servers.processes import spawn, stop_process, wait_until


@contextlib.contextmanager
def peer_server(stage: Stage, program: str, path: str, body: str, head: str) -> Iterator[int]:
    """The port of a program of bench/peers, once it has answered this request with 200. `head`: one more line of it."""
    port = free_port()
    log_path = stage.folder / f"{program}-{port}.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(stage.folder)}
    with log_path.open("wb") as log:
        command = [peers_python(), program, str(port)]
        process = spawn(command, cwd=PROGRAMS, env=environment, stdout=log, stderr=log)
    try:
        wait_until(_answers(port, path, body, head), 60, f"{program} was not ready", log_path)
        yield port
    finally:
        stop_process(process, 15, 15)


def _answers(port: int, path: str, body: str, head: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return run_load(Plan(port, [(path, body)], 1, 5.0, 0.0, total=1, headers=[head])).ok == 1

    return answers
