"""Listening to both families of addresses where somebody asks for `::`."""

import socket

EVERY_ADDRESS = "::"


def dual_stack_socket(host: str, port: int, backlog: int = 128) -> socket.socket | None:
    """A socket that takes IPv6 and IPv4, for the host `::` alone; None for every other host, and where the system has
    no such sockets. By itself an event loop would take IPv6 alone. Raises OSError where the port is taken."""
    if host != EVERY_ADDRESS or not socket.has_dualstack_ipv6():
        return None
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
