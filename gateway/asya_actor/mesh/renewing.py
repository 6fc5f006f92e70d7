"""Renews the claims of hops that began by a report of a batch, all with one task of the event loop.

Their requests do not wait behind batches of other reports.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from http import HTTPStatus

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable
from asya_actor.mesh.signs import Sign, Together, together
from asya_crds import jsontext

log = logging.getLogger(__name__)

CHECKS_PER_LEASE = 12
DUE = 1 / 4
"""Share of a lease after which a claim is renewed at the next check, so at the latest after a third."""
QUIET_WITHIN = 1.0
AT_ONCE = 256
"""Most claims in one request."""


class Renewals:
    """The claims of one process. The task runs while there are any."""

    def __init__(self, client: MeshClient) -> None:
        self._client = client
        self._signs: set[Sign] = set()
        self._running: asyncio.Task[None] | None = None
        self._requests: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._signs)

    def add(self, sign: Sign) -> None:
        """Renew the claim of this hop."""
        self._signs.add(sign)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="renew-claims")

    def remove(self, sign: Sign) -> None:
        """Stop renewing the claim of this hop."""
        self._signs.discard(sign)

    async def quiet(self) -> None:
        """Wait for the requests under way, at most QUIET_WITHIN seconds: a sign of life that arrives after its claim
        was given back would renew it for a whole lease."""
        if self._requests:
            await asyncio.wait(tuple(self._requests), timeout=QUIET_WITHIN)

    async def close(self) -> None:
        """End the task."""
        tasks = [*self._requests, *([] if self._running is None else [self._running])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        idle = 0
        while idle < CHECKS_PER_LEASE:
            shortest = min((sign.lease for sign in self._signs), default=1.0)
            await asyncio.sleep(shortest / CHECKS_PER_LEASE)
            idle = 0 if self._signs else idle + 1
            now = time.monotonic()
            self._renew([sign for sign in self._signs if now - max(sign.given, sign.asked) >= sign.lease * DUE], now)

    def _renew(self, due: Sequence[Sign], now: float) -> None:
        """Send the requests without waiting for them, because one gateway may be slow to answer."""
        by_line: dict[Together, list[Sign]] = defaultdict(list)
        for sign in due:
            sign.asked = now
            if sign.together is not None and sign.together.offered():
                by_line[sign.together].append(sign)
            else:
                self._start(self._single(sign))
        for line, signs in by_line.items():
            for start in range(0, len(signs), AT_ONCE):
                self._start(self._together(line, signs[start : start + AT_ONCE]))

    def _start(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(request, name="renew-claim")
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _together(self, line: Together, signs: Sequence[Sign]) -> None:
        try:
            text = await self._client.reports(line.base, together(line, signs), within=signs[0].lease / 3)
            answers = jsontext.loads(text)["answers"]
            for sign, answer in zip(signs, answers, strict=True):
                if "error" not in answer:
                    sign.renewed(answer.get("action"), in_loop=True)
        except MeshRefused as refusal:
            if refusal.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                line.withdraw()
                await asyncio.gather(*(self._single(sign) for sign in signs))
            else:
                log.error("mesh rejects the signs of life of %d hops: %s", len(signs), refusal)
        except MeshUnavailable as error:
            log.debug("claims of %d hops not renewed: %s", len(signs), error)
        except (jsontext.InvalidJSON, LookupError, TypeError, ValueError, AttributeError) as error:
            log.debug("claims of %d hops not renewed, an answer that is not understood: %r", len(signs), error)

    async def _single(self, sign: Sign) -> None:
        with contextlib.suppress(MeshUnavailable, MeshRefused):
            answer = await self._client.progress_once(sign.base, sign.task_id, sign.reporter.processing(sign.actor))
            sign.renewed(answer.get("action"), in_loop=True)
