"""Listening on a port: on both address families for `::`, and with clear errors when it fails."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_ADDRESS = "::"


class CannotListen(OSError):
    """The text names the variable at fault, or both if another program already listens there. `wrong_value`: another
    value is needed; otherwise the port is in use now and may become free."""

    def __init__(self, text: str, *, wrong_value: bool) -> None:
        super().__init__(text)
        self.wrong_value = wrong_value


@contextmanager
def listening(host: tuple[str, str], port: tuple[str, int]) -> Iterator[None]:
    """Wraps the code that listens. Host and port each come with the name of their variable. Raises CannotListen."""
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
    """A socket that accepts IPv6 and IPv4, for the host `::`. None for every other host, and if the system has no such
    sockets. An event loop by itself would accept only IPv6. Raises OSError if the port is in use."""
    if host != EVERY_ADDRESS or not socket.has_dualstack_ipv6():
        return None
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
