"""Leader election with a Lease. A leader that cannot renew it ends its process, even if it hangs."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from asya_operator.cluster.rest import Rest, error_of
from asya_operator.domain.errors import ApiForbidden, Conflicting, OutsideError
from asya_operator.domain.health import Health
from asya_operator.domain.lease import LeaseObserver, LeaseTimes, released, taken

log = logging.getLogger(__name__)
LOST = 3
"""Exit code of a process whose lease ran out."""


class Election:
    """One candidate for one Lease."""

    def __init__(
        self,
        rest: Rest,
        namespace: str,
        name: str,
        identity: str,
        health: Health,
        times: LeaseTimes | None = None,
        end_process: Callable[[int], Any] = os._exit,
    ) -> None:
        self._rest, self._identity, self._health = rest, identity, health
        self._times = times or LeaseTimes()
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._observer = LeaseObserver(identity, self._times)
        self._end_process = end_process
        self._held_until = 0.0
        self._finished = threading.Event()

    @property
    def leads(self) -> bool:
        """Whether we hold the lease now, by the monotonic clock."""
        return time.monotonic() < self._held_until

    async def win(self) -> None:
        """Return once we hold the lease. From then on a thread ends the process if the lease runs out."""
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(self._times.retry_period)
        log.info("acquired the lease %s", self._name)
        self._health.leading = True
        threading.Thread(target=self._guard, name="lease guard", daemon=True).start()

    async def keep(self) -> None:
        """Renew until cancelled. Returns if another process holds the lease."""
        while True:
            await asyncio.sleep(self._times.retry_period)
            if not await self._attempt() and self._held_until == 0.0:
                return

    async def release(self) -> None:
        """Release the lease, so that the next candidate need not wait."""
        self._finished.set()
        if not self.leads:
            return
        with contextlib.suppress(OutsideError, TimeoutError):
            async with asyncio.timeout(self._times.request_timeout):
                found = await self._read()
                if found is not None and found["spec"].get("holderIdentity") == self._identity:
                    await self._write(found, released(found["spec"]))
                    log.info("the lease %s is released", self._name)
        self._held_until = 0.0

    def _guard(self) -> None:
        """Runs in a thread, so that neither a hanging request nor a blocked event loop can keep a leader alive after it
        lost the lease."""
        while not self._finished.wait(min(0.1, self._times.retry_period / 10)):
            if not self.leads:
                log.critical("the lease %s could not be renewed in time; ending at once", self._name)
                self._end_process(LOST)
                return

    async def _attempt(self) -> bool:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._times.request_timeout):
                return await self._try_once(began)
        except Conflicting:
            return False
        except ApiForbidden as error:
            self._health.denied["leases"] = str(error)
            self._health.lease = str(error)
            log.warning("%s", error)
        except (OutsideError, TimeoutError) as error:
            self._health.lease = str(error) or "the API server does not respond"
            log.warning("lease %s: %s", self._name, self._health.lease)
        return False

    async def _try_once(self, began: float) -> bool:
        found = await self._read()
        self._health.denied.pop("leases", None)
        self._health.lease = ""
        spec: Mapping[str, Any] = found["spec"] if found else {}
        if found is not None and not self._observer.may_take(spec, time.monotonic()):
            self._held_until = 0.0
            return False
        now = datetime.now(UTC)  # noqa: TID251 # others watch for changes of it, by their monotonic clocks
        await self._write(found, taken(spec, self._identity, self._times, now))
        # Counted from before the request, because the API server may have stored it at any time since.
        self._held_until = began + self._times.renew_deadline
        return True

    async def _read(self) -> dict[str, Any] | None:
        answer = await self._rest.call("GET", f"{self._collection}/{self._name}", timeout=self._times.request_timeout)
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise error_of(answer, "get lease")
        body: dict[str, Any] = answer.body
        return {**body, "spec": body.get("spec") or {}}

    async def _write(self, found: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> None:
        timeout = self._times.request_timeout
        if found is None:
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}}
            await self._rest.ask("POST", self._collection, body={**lease, "spec": spec}, timeout=timeout)
            return
        body = {**found, "spec": spec}  # with its resourceVersion: a second writer gets a conflict
        await self._rest.ask("PUT", f"{self._collection}/{self._name}", body=body, timeout=timeout)
