"""A load generator in a separate process: keep-alive connections on one epoll, with as little CPU as possible in
Python.

It shares the machine's cores with the measured program, so it parses only the parts of a response that show when it is
complete: status and Content-Length. `python -m bench.load` reads a Plan as JSON from standard input and prints the
Outcome.
"""

import contextlib
import itertools
import json
import math
import re
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from bench.figures import median, percentile

NOW = "#" * 20
"""Placeholder in a body for the time of sending: 20 digits of CLOCK_MONOTONIC in ns, which all processes share."""

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: each (path, body) in turn, repeatedly; without a body it is a GET. `seconds` begin after `warm_up`.
    `rate` is the total per second, 0 for as fast as responses arrive. `total` ends the run after that many requests
    instead. `headers`: one more line of the head, of each request in turn."""

    port: int
    requests: Sequence[tuple[str, str]]
    connections: int = 64
    seconds: float = 20.0
    warm_up: float = 2.0
    rate: float = 0.0
    total: int = 0
    headers: Sequence[str] = ()


@dataclass(slots=True)
class Outcome:
    """The responses after the warm-up. `statuses` counts all that were not 200, also during the warm-up."""

    ok: int = 0
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    """All 200s, including those of the warm-up."""

    @property
    def per_second(self) -> float:
        """Responses with 200 per second."""
        return self.ok / self.seconds if self.seconds else 0.0

    @property
    def problem(self) -> str:
        """Why the run is invalid; "" if it is valid."""
        return f"answers other than 200: {self.statuses}" if self.statuses else ""


class _Connection:
    __slots__ = ("received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0


class Generator:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        headers = plan.headers or [""]
        count = math.lcm(len(plan.requests), len(headers))
        lines = itertools.islice(itertools.cycle(headers), count)
        requests = itertools.islice(itertools.cycle(plan.requests), count)
        self._requests = [request_bytes(*request, header) for request, header in zip(requests, lines, strict=True)]
        self._stamps = [request.find(NOW.encode()) for request in self._requests]
        self._next = 0
        self._usual_length = 0
        self._latencies: list[int] = []
        self._statuses: Counter[str] = Counter()
        self._accepted = 0

    def run(self) -> Outcome:
        """Send, count, and return the outcome."""
        with contextlib.ExitStack() as stack:
            connections = [_Connection(self._plan.port) for _ in range(self._plan.connections)]
            for connection in connections:
                stack.callback(connection.socket.close)
            poll = select.epoll()
            stack.callback(poll.close)
            return self._exchange({each.socket.fileno(): each for each in connections}, poll)

    def _exchange(self, connections: dict[int, _Connection], poll: select.epoll) -> Outcome:
        plan = self._plan
        for number in connections:
            poll.register(number, select.EPOLLIN)
        idle = list(connections.values())
        begin = now = time.monotonic_ns()
        counted_from = begin + int(plan.warm_up * 1e9)
        end = counted_from + int(plan.seconds * 1e9)
        cpu, counting, finished = 0.0, False, False
        while not finished or len(idle) < len(connections):
            if not counting and now >= counted_from:
                counting, cpu, counted_from = True, time.process_time(), now
                self._latencies.clear()
            finished = finished or now >= end
            while idle and not (finished or self._all_sent) and self._due(now, begin):
                self._send(idle.pop())
            for number, _ in poll.poll(self._patience(now, begin, bool(idle))):
                connection = connections[number]
                if not self._receive(connection):
                    continue
                if finished or self._all_sent or not self._due(time.monotonic_ns(), begin):
                    idle.append(connection)
                else:
                    self._send(connection)
            now = time.monotonic_ns()
            finished = finished or self._all_sent
            if now > end + 30_000_000_000:
                self._statuses["no answer"] += len(connections) - len(idle)
                break
        return self._outcome(min(now, end) - counted_from, time.process_time() - cpu)

    @property
    def _all_sent(self) -> bool:
        return bool(self._plan.total) and self._next >= self._plan.total

    def _due(self, now: int, begin: int) -> bool:
        return not self._plan.rate or self._next <= (now - begin) / 1e9 * self._plan.rate

    def _patience(self, now: int, begin: int, idle: bool) -> float:
        if not self._plan.rate or not idle:
            return 0.1
        return min(0.1, max(0.0, self._next / self._plan.rate - (now - begin) / 1e9))

    def _send(self, connection: _Connection) -> None:
        index = self._next % len(self._requests)
        self._next += 1
        request, stamp = self._requests[index], self._stamps[index]
        connection.sent_at = time.monotonic_ns()
        if stamp >= 0:
            request = request[:stamp] + b"%020d" % connection.sent_at + request[stamp + 20 :]
        connection.socket.sendall(request)

    def _receive(self, connection: _Connection) -> bool:
        """Whether the response is complete."""
        data = connection.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed a connection")
        if connection.received:
            data = connection.received + data
        if len(data) != self._usual_length or not data.startswith(b"HTTP/1.1 200"):
            # A stream's length differs each time.
            length = whole_length(data)
            if length is None or len(data) < length:
                connection.received = data
                return False
            status = data[9:12].decode()
            if status != "200":
                connection.received = b""
                self._statuses[status] += 1
                return True
            self._usual_length = length if _LENGTH.search(data) else 0
        connection.received = b""
        self._accepted += 1
        self._latencies.append(time.monotonic_ns() - connection.sent_at)
        return True

    def _outcome(self, nanoseconds: int, cpu: float) -> Outcome:
        milliseconds = [each / 1e6 for each in self._latencies]
        return Outcome(
            ok=len(milliseconds),
            seconds=nanoseconds / 1e9,
            p50_ms=median(milliseconds),
            p99_ms=percentile(milliseconds, 0.99),
            cpu_seconds=cpu,
            statuses=dict(self._statuses),
            accepted=self._accepted,
        )


def request_bytes(path: str, body: str, header: str = "") -> bytes:
    """A POST of JSON over a keep-alive connection, or a GET if the body is empty."""
    data = body.encode()
    head = f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1"
    head += f"\r\nContent-Type: application/json\r\nContent-Length: {len(data)}" if data else ""
    head += f"\r\n{header}" if header else ""
    return f"{head}\r\n\r\n".encode() + data


def whole_length(data: bytes) -> int | None:
    """Length of the response that begins here; None until its head is complete."""
    end = data.find(_HEAD_END)
    if end < 0:
        return None
    found = _LENGTH.search(data, 0, end)
    if found is not None:
        return end + len(_HEAD_END) + int(found[1])
    # A stream of events: chunked, and the generator waits for its end.
    return len(data) if data.endswith(_LAST_CHUNK) else None


def start_load(plan: Plan) -> "subprocess.Popen[str]":
    """Start a plan in a separate process; finish_load waits for it."""
    command = [sys.executable, "-m", "bench.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(plan)))
    process.stdin.close()
    return process


def finish_load(process: "subprocess.Popen[str]") -> Outcome:
    """Wait for the outcome. Raises RuntimeError if the generator failed."""
    assert process.stdout is not None
    with process.stdout:
        text = process.stdout.read()
    if process.wait() != 0:
        raise RuntimeError("the load generator failed")
    return Outcome(**json.loads(text))


def run_load(plan: Plan) -> Outcome:
    """Run a plan in a separate process, to its end."""
    return finish_load(start_load(plan))


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(asdict(Generator(Plan(**given)).run()), sys.stdout)
