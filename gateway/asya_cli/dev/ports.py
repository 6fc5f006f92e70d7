"""The port that the gateway listens to."""

import socket

from asya_cli.errors import CliError

TRIES = 50


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens to it on 127.0.0.1, else the next that is free; 0 takes any."""
    for port in range(wanted, min(wanted + TRIES, 65_536)) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise CliError(f"no free port from {wanted} to {wanted + TRIES - 1}; choose another with --port")
