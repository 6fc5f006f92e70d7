"""Listening: to both families of addresses where somebody asks for `::`, and what it means where it fails."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_ADDRESS = "::"


class CannotListen(OSError):
    """The text names the variable at fault, and both where another program listens already. `wrong_value`: another
    value is needed; otherwise the port is taken now, and may be free later."""

    def __init__(self, text: str, *, wrong_value: bool) -> None:
        super().__init__(text)
        self.wrong_value = wrong_value


@contextmanager
def listening(host: tuple[str, str], port: tuple[str, int]) -> Iterator[None]:
    """Around whatever listens; host and port each with the variable that they come from. Raises CannotListen."""
    (host_variable, address), (port_variable, number) = host, port
    try:
        yield
    except CannotListen:
        raise
    except (OSError, UnicodeError) as error:
        code = error.errno if isinstance(error, OSError) else None
        if code == errno.EADDRINUSE:
            where = f"{port_variable} (at {host_variable})"
            raise CannotListen(
                f"{where}: port {number} of {address} is in use by another program", wrong_value=False
            ) from error
        if code == errno.EACCES:
            raise CannotListen(
                f"{port_variable}: this user may not listen to port {number}", wrong_value=True
            ) from error
        raise CannotListen(
            f"{host_variable}: expected an address of this machine, not {address!r}", wrong_value=True
        ) from error


def dual_stack_socket(host: str, port: int, backlog: int = 128) -> socket.socket | None:
    """A socket that takes IPv6 and IPv4, for the host `::` alone; None for every other host, and where the system has
    no such sockets. By itself an event loop would take IPv6 alone. Raises OSError where the port is taken."""
    if host != EVERY_ADDRESS or not socket.has_dualstack_ipv6():
        return None
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
