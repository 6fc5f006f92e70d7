"""Renews claims from a thread, for hops whose event loop is too busy to do so.

An async handler that blocks the event loop also stops the reports that renew its claim; another worker would then run
the hop at the same time. The thread reports only if the loop has not done so for too long.
"""

import http.client
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from asya_crds import jsontext

log = logging.getLogger(__name__)

SILENCE = 0.5
"""Share of a lease after which the loop is considered busy; it renews after a third."""
CHECKS_PER_LEASE = 10
TIMEOUT = 5.0


@dataclass(eq=False)
class Sign:
    """The renewal for one hop: the body of a `processing` report for `base`, sent at least every `lease` seconds.

    `lost` is called in the thread when mesh answers that the hop is no longer ours. `given`: when mesh last accepted a
    report (monotonic); every sender of a report sets it.
    """

    base: str
    task_id: str
    body: bytes
    headers: Mapping[str, str]
    lease: float
    lost: Callable[[], None]
    given: float = field(default_factory=time.monotonic)


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
            for sign in self._wait():
                if time.monotonic() - sign.given > sign.lease * SILENCE:
                    _give(sign)

    def _wait(self) -> list[Sign]:
        """Wait a moment, or until there are hops; returns the current ones."""
        with self._changed:
            while not self._signs:
                self._changed.wait()
            pause = min(sign.lease for sign in self._signs) / CHECKS_PER_LEASE
        time.sleep(pause)
        with self._changed:
            return list(self._signs)


def _give(sign: Sign) -> None:
    address = urlsplit(sign.base)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT)
    try:
        path = f"{address.path}/mesh/{quote(sign.task_id, safe='')}/progress"
        connection.request("POST", path, sign.body, dict(sign.headers))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            log.debug("claim of %s not renewed: HTTP %d", sign.task_id, answer.status)
            return
        sign.given = time.monotonic()
        found = jsontext.loads(text)
        if isinstance(found, dict) and found.get("action") == "done":
            sign.lost()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # ValueError: an answer that is not JSON, or an invalid host name. The thread must outlive all of them.
        log.debug("claim of %s not renewed: %s", sign.task_id, error)
    finally:
        connection.close()
