"""Readers of event streams in a separate process: many connections on one epoll, which count events and measure delays.

`python -m bench.readers` reads a Reading as JSON from the first line of standard input, prints "ready" when all
streams are open, and at the next line (or when every stream has ended) prints a Report.
"""

import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

STAMP = re.compile(rb"@(\d{20})@")
"""The time of sending in an event: CLOCK_MONOTONIC in ns, which all processes of a machine share."""
_CARRY = 64
"""Bytes kept from the last read: longer than a timestamp or an event's name, so that neither is missed between two
reads."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which streams to open, and the name of the events to count."""

    port: int
    paths: Sequence[str]
    event: str


@dataclass(slots=True)
class Report:
    """Events counted over all streams, the least and most of one stream, and the delays of those with a timestamp."""

    events: int = 0
    fewest: int = 0
    most: int = 0
    seconds: float = 0.0
    """From the first event to the last."""
    delays_ms: list[float] = field(default_factory=list)
    ended: int = 0


class _Stream:
    __slots__ = ("carry", "events", "socket")

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
        self.socket.sendall(head.encode())
        self.carry = b""
        self.events = 0


class Reader:
    """Runs one reading."""

    def __init__(self, reading: Reading) -> None:
        self._word = f"event: {reading.event}\n".encode()
        self._poll = select.epoll()
        self._streams: dict[int, _Stream] = {}
        self._first = self._last = 0
        self._delays: list[float] = []
        self._ended = 0
        for path in reading.paths:
            stream = _Stream(reading.port, path)
            self._open(stream)
            self._streams[stream.socket.fileno()] = stream
            self._poll.register(stream.socket.fileno(), select.EPOLLIN)

    def _open(self, stream: _Stream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = stream.socket.recv(4096)
            if not data:
                raise ConnectionError("the gateway closed a stream before it began")
            head += data
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"no stream: {head[:200]!r}")
        self._take(stream, head)

    def run(self) -> Report:
        """Read until a line arrives on standard input, or every stream has ended."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        while self._ended < len(self._streams):
            for number, _ in self._poll.poll():
                if number == sys.stdin.fileno():
                    return self._report()
                self._read(self._streams[number])
        return self._report()

    def _read(self, stream: _Stream) -> None:
        data = stream.socket.recv(262144)
        if data:
            self._take(stream, data)
            return
        self._ended += 1
        self._poll.unregister(stream.socket.fileno())

    def _take(self, stream: _Stream, data: bytes) -> None:
        now = time.monotonic_ns()
        text = stream.carry + data
        # Matches that end within the carry were counted with the last read.
        seen = len(stream.carry)
        found = sum(1 for match in re.finditer(self._word, text) if match.end() > seen)
        for match in STAMP.finditer(text):
            if match.end() > seen:
                self._delays.append((now - int(match[1])) / 1e6)
        if found:
            stream.events += found
            self._first = self._first or now
            self._last = now
        stream.carry = text[-_CARRY:]

    def _report(self) -> Report:
        counts = [stream.events for stream in self._streams.values()]
        return Report(
            events=sum(counts),
            fewest=min(counts, default=0),
            most=max(counts, default=0),
            seconds=(self._last - self._first) / 1e9,
            delays_ms=self._delays,
            ended=self._ended,
        )


class Readers:
    """A Reader's process, seen from the benchmark."""

    def __init__(self, reading: Reading) -> None:
        command = [sys.executable, "-m", "bench.readers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._tell(json.dumps(asdict(reading)))
        if self._hear() != "ready":
            raise RuntimeError("the readers could not open their streams")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def report(self) -> Report:
        """The report so far; this ends the readers."""
        self._tell("report")
        return Report(**json.loads(self._hear()))

    def wait(self) -> Report:
        """The report after every stream has ended."""
        return Report(**json.loads(self._hear()))

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


if __name__ == "__main__":
    # Unbuffered, because a line in Python's own buffer would never wake the poll.
    with open(0, "rb", buffering=0, closefd=False) as standard_input:
        reader = Reader(Reading(**json.loads(standard_input.readline())))
    print("ready", flush=True)
    print(json.dumps(asdict(reader.run())), flush=True)
