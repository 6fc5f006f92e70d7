"""Renews claims from a thread, for hops whose event loop is too busy to do so.

An async handler that blocks the event loop also stops the reports that renew its claim; another worker would then run
the hop at the same time. The thread reports only if the loop has not done so for too long: the claims of one gateway in
one request if it takes reports together.
"""

import http.client
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, quote, urlsplit

from asya_actor.mesh.signs import Sign, Together, together
from asya_crds import jsontext
from asya_crds.hop_reports import REPORTS_PATH

log = logging.getLogger(__name__)

SILENCE = 0.5
"""Share of a lease after which the loop is considered busy; it renews after a third."""
CHECKS_PER_LEASE = 10
TIMEOUT = 5.0
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
AT_ONCE = 256
"""Most claims in one request."""


class Pulse:
    """One daemon thread for all hops of a process, started with the first hop, and asleep while there is none."""

    def __init__(self) -> None:
        self._signs: set[Sign] = set()
        self._changed = threading.Condition()
        self._started = False

    def add(self, sign: Sign) -> None:
        """Renew the claim of this hop."""
        with self._changed:
            self._signs.add(sign)
            if not self._started:
                self._started = True
                threading.Thread(target=self._main, name="pulse", daemon=True).start()
            elif len(self._signs) == 1:
                self._changed.notify()

    def remove(self, sign: Sign) -> None:
        """Stop renewing the claim of this hop."""
        with self._changed:
            self._signs.discard(sign)

    def _main(self) -> None:
        while True:
            due = [sign for sign in self._wait() if time.monotonic() - sign.given > sign.lease * SILENCE]
            try:
                _give_all(due)
            except Exception:
                # A thread that ended would renew no claim any more.
                log.exception("claims of %d hops not renewed", len(due))

    def _wait(self) -> list[Sign]:
        """Wait a moment, or until there are hops; returns the current ones."""
        with self._changed:
            while not self._signs:
                self._changed.wait()
            pause = min(sign.lease for sign in self._signs) / CHECKS_PER_LEASE
        time.sleep(pause)
        with self._changed:
            return list(self._signs)


def _give_all(due: Sequence[Sign]) -> None:
    by_line: dict[Together, list[Sign]] = defaultdict(list)
    alone: dict[str, list[Sign]] = defaultdict(list)
    for sign in due:
        if sign.together is not None and sign.together.offered():
            by_line[sign.together].append(sign)
        else:
            alone[sign.base].append(sign)
    for line, signs in by_line.items():
        with _Connection(line.base) as connection:
            for start in range(0, len(signs), AT_ONCE):
                _give_together(connection, line, signs[start : start + AT_ONCE])
    for base, signs in alone.items():
        with _Connection(base) as connection:
            for sign in signs:
                _give(connection, sign)


class _Connection:
    """One kept connection to a gateway."""

    def __init__(self, base: str) -> None:
        self._address: SplitResult = urlsplit(base)
        self._open: http.client.HTTPConnection | None = None

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError, ValueError (an invalid host name), HTTPException."""
        try:
            if self._open is None:
                kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
                self._open = kind(self._address.hostname or "", self._address.port, timeout=TIMEOUT)
            self._open.request("POST", self._address.path + path, body, dict(headers))
            answer = self._open.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _give_together(connection: _Connection, line: Together, signs: Sequence[Sign]) -> None:
    try:
        status, text = connection.post(REPORTS_PATH, together(line, signs), HEADERS)
    except (OSError, ValueError, http.client.HTTPException) as error:
        log.debug("claims of %d hops not renewed: %s", len(signs), error)
        return
    if status in (http.client.NOT_FOUND, http.client.METHOD_NOT_ALLOWED):
        line.withdraw()
        for sign in signs:
            _give(connection, sign)
        return
    answers = _object(text).get("answers") if status == http.client.OK else None
    if not isinstance(answers, list) or len(answers) != len(signs):
        log.debug("claims of %d hops not renewed: HTTP %d", len(signs), status)
        return
    for sign, answer in zip(signs, answers, strict=True):
        if isinstance(answer, dict) and "error" not in answer:
            sign.renewed(answer.get("action"), in_loop=False)


def _give(connection: _Connection, sign: Sign) -> None:
    path = f"/mesh/{quote(sign.task_id, safe='')}/progress"
    try:
        status, text = connection.post(
            path, jsontext.dumps(sign.reporter.processing(sign.actor)).encode(), sign.headers()
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        # The thread must outlive all of them.
        log.debug("claim of %s not renewed: %s", sign.task_id, error)
        return
    if status != http.client.OK:
        log.debug("claim of %s not renewed: HTTP %d", sign.task_id, status)
        return
    sign.renewed(_object(text).get("action"), in_loop=False)


def _object(text: bytes) -> dict[str, object]:
    try:
        found = jsontext.loads(text)
    except jsontext.InvalidJSON:
        return {}
    return found if isinstance(found, dict) else {}


PULSE = Pulse()
"""One thread for the whole process, whatever its number of actors."""
