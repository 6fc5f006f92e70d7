"""SIGTERM while handlers are loaded: there is nothing to finish yet, and loading may take longer than the grace."""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator

log = logging.getLogger(__name__)

ENDING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT end the process with 0 while the block runs. Only for the main thread, whose event loop
    handles these signals otherwise.

    While a module is imported the event loop does not turn, and in a call of C code no handler in Python runs. The
    interpreter tells a socket of each signal at once, and a thread reads it (unless that code keeps the lock).
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        thread = threading.Thread(target=_end_on_signal, args=(reader,), name="signals", daemon=True)
        thread.start()
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            writer.shutdown(socket.SHUT_WR)
            thread.join()


def _end_on_signal(reader: socket.socket) -> None:
    while told := reader.recv(1):
        if told[0] in ENDING:
            log.warning("%s while the handler was being loaded: nothing is in work", signal.Signals(told[0]).name)
            logging.shutdown()
            os._exit(0)
