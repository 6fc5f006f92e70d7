"""SIGTERM while handlers are loaded: there is nothing to finish, and loading may take longer than the grace period."""

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
    """SIGTERM and SIGINT end the process with exit code 0 while the block runs. Only for the main thread, whose event
    loop otherwise handles these signals.

    During an import the event loop does not run, and during a call into C code no Python signal handler runs. But the
    interpreter writes each signal to a socket at once, and a thread reads it (unless the C code holds the interpreter's
    lock).
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
