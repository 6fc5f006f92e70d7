"""Many open streams of one kind in a separate process, which notes when each gets a message.

`python -m bench.mcp_listeners` reads a Listening as JSON from the first line of standard input, prints "ready" when all
streams are open, and at the next line prints the time in ns at which the last of them got the word; -1 if one did not.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

LONGEST = 20.0
"""Seconds that the word may take."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Whole requests (head and body) to send, one a stream, and the word for which each waits."""

    port: int
    requests: Sequence[str]
    word: str


class _Streams:
    def __init__(self, listening: Listening) -> None:
        self._word = listening.word.encode()
        self._poll = select.epoll()
        self._carried: dict[int, bytes] = {}
        self._sockets: dict[int, socket.socket] = {}
        for request in listening.requests:
            connection = socket.create_connection(("127.0.0.1", listening.port))
            connection.sendall(request.encode())
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(4096)
                if not data:
                    raise ConnectionError(f"no stream: {head[:200]!r}")
                head += data
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"no stream: {head[:200]!r}")
            self._sockets[connection.fileno()] = connection
            self._carried[connection.fileno()] = b""
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def last(self) -> int:
        """CLOCK_MONOTONIC in ns when the last stream got the word."""
        waiting, last = set(self._sockets), -1
        until = time.monotonic() + LONGEST
        while waiting and time.monotonic() < until:
            for number, _ in self._poll.poll(0.2):
                data = self._sockets[number].recv(65536)
                if not data:
                    self._poll.unregister(number)
                    continue
                text = self._carried[number] + data
                self._carried[number] = text[-len(self._word) :]
                if number in waiting and self._word in text:
                    waiting.discard(number)
                    last = time.monotonic_ns()
        return -1 if waiting else last


class Listeners:
    """The process; a context manager that is entered when all streams are open."""

    def __init__(self, listening: Listening) -> None:
        command = [sys.executable, "-m", "bench.mcp_listeners"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._listening = listening

    def __enter__(self) -> Self:
        self._write(json.dumps(asdict(self._listening)))
        if self._read() != "ready":
            raise RuntimeError("the streams did not open")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def expect(self) -> None:
        """Begin to wait for the word."""
        self._write("")

    def last(self) -> int:
        """CLOCK_MONOTONIC in ns when the last stream got it; -1 if one did not."""
        return int(self._read())

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    streams = _Streams(Listening(**json.loads(sys.stdin.readline())))
    print("ready", flush=True)
    sys.stdin.readline()
    print(streams.last(), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
