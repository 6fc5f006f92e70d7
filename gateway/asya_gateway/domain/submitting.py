"""Accepting calls: arguments checked, the first envelope built, the task stored once for each key."""

import logging
import time
from typing import Any

from asya_gateway.domain.calls import Call, TaskRules
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import InvalidArguments, TooLarge
from asya_gateway.domain.fresh import blank
from asya_gateway.domain.ids import new_task_id
from asya_gateway.domain.ports import Digester, Examiner, NewTask, TaskStore, Terms
from asya_gateway.domain.task import Caller, JsonText
from asya_gateway.telemetry.context import about
from asya_gateway.telemetry.observer import Observer

log = logging.getLogger(__name__)


class Submitting:
    """Turns calls into stored tasks."""

    def __init__(
        self,
        store: TaskStore,
        rules: TaskRules,
        examine: Examiner,
        digest: Digester,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._rules = rules
        self._examine = examine
        self._digest = digest
        self._observer = observer
        self._spans = observer.spans
        self._now = clock
        self._plain = rules.owner_cap is None and rules.flow_cap is None

    async def submit(self, call: Call) -> str:
        """The id of the call's task, new or stored earlier under the same key. Raises what Tasks.submit raises."""
        started = time.perf_counter()
        flow = call.served.flow.name
        try:
            violations, payload = await self._examine(call.served.check if call.check else None, call.payload)
            if violations:
                about(flow=flow)
                raise InvalidArguments(violations)
            task_id = new_task_id()
            about(task_id, flow)
            with self._spans.verb("submit", task_id, flow):
                new = self._new_task(task_id, call, payload)
                self._rules.check_size(new.envelope, "arguments")
                if self._plain and call.key is None and call.retry_of is None:
                    await self._store.create(new)
                elif (stored := await self._store.admit(new, await self._terms(call))) != task_id:
                    about(stored)
                    return stored
        except (InvalidArguments, TooLarge):
            repeated = await self._repeated(call)
            if repeated is None:
                raise
            return repeated
        self._observer.accepted(flow, call.surface, time.perf_counter() - started)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("accepted by %s", call.surface)
        return task_id

    async def earlier(self, caller: Caller, key: str | None, flow: str, payload: Any) -> str | None:
        """The task stored under this key by the same call, at a time when the flow was served. Raises KeyReused."""
        if key is None:
            return None
        return await self._store.find_call(caller.owner, key, await self._digest("call", flow, payload))

    async def _terms(self, call: Call) -> Terms:
        digest = None if call.key is None else await self._digest(*call.identity)
        return Terms(call.key, digest, call.retry_of, owner_cap=self._rules.owner_cap, flow_cap=self._rules.flow_cap)

    async def _repeated(self, call: Call) -> str | None:
        """The task of a call that was accepted earlier but would be refused today, because the flow's schema or the
        size limit changed between the call and its repetition. Raises KeyReused."""
        if call.key is None:
            return None
        return await self._store.find_call(call.caller.owner, call.key, await self._digest(*call.identity))

    def _new_task(self, task_id: str, call: Call, payload: JsonText) -> NewTask:
        flow = call.served.flow
        now = self._now()
        envelope = blank(call.served, self._rules.mesh_url)
        return NewTask(
            id=task_id,
            flow=flow.name,
            owner=call.caller.owner,
            surface=call.surface,
            route=envelope.route_json,
            actor=flow.entrypoint,
            context_id=call.context_id,
            timeout=self._rules.default_timeout if flow.timeout is None else flow.timeout,
            payload=payload,
            envelope=envelope.filled(task_id, {**call.headers, **self._spans.outgoing()}, now, payload),
        )
