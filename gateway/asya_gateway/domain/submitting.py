"""Accepting calls: arguments checked, the first envelope built, the task stored once for each key."""

import logging
import time
from typing import Any

from asya_crds import jsontext
from asya_crds.naming import HEADER_CALLER
from asya_gateway.domain.beside import KeptBeside
from asya_gateway.domain.calls import Accepted, Call, TaskRules
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import InvalidArguments, QueueFull, TooLarge
from asya_gateway.domain.fresh import blank
from asya_gateway.domain.given_answers import missing_answers
from asya_gateway.domain.identity.principals import Caller, Principal, Program
from asya_gateway.domain.ids import new_task_id
from asya_gateway.domain.ports import Digester, Examiner, Left, NewTask, TaskStore, Terms, UpdateFeed
from asya_gateway.domain.task import JsonText
from asya_gateway.telemetry.context import about, current_source
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
        feed: UpdateFeed,
    ) -> None:
        self._store = store
        self._rules = rules
        self._examine = examine
        self._digest = digest
        self._observer = observer
        self._spans = observer.spans
        self._now = clock
        self._caller_header = KeptBeside(self._header_of)
        self._feed = feed

    async def accept(self, call: Call, left: Left | None = None) -> Accepted:
        """The call's task, new or stored earlier under the same key; `left`: see Tasks.submit. Raises what Tasks.accept
        raises."""
        started = time.perf_counter()
        flow = call.served.flow.name
        if self._rules.flow_rate is not None and not isinstance(call.caller, Program):
            self._rules.flow_rate.take(flow)
        try:
            self.check_backlog(call)
            missing = missing_answers(call.served.flow, call.payload) if call.check else []
            check = call.served.check if call.check else None
            violations, payload = (missing, "") if missing else await self._examine(check, call.payload)
            if violations:
                about(flow=flow)
                raise InvalidArguments(violations)
            task_id = call.task_id or new_task_id()
            about(task_id, flow)
            with self._spans.verb("submit", task_id, flow):
                new = self._new_task(task_id, call, payload)
                self._rules.check_size(new.envelope, "arguments")
                accepted = await (self._stored_and_heard if call.live else self._stored)(call, new, left)
                if accepted.task_id != task_id:
                    about(accepted.task_id)
                    return accepted
        except (InvalidArguments, QueueFull, TooLarge):
            repeated = await self._repeated(call)
            if repeated is None:
                raise
            return Accepted(repeated)
        self._observer.accepted(flow, call.surface, time.perf_counter() - started)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("accepted by %s", call.surface)
        return accepted

    async def _stored(self, call: Call, new: NewTask, left: Left | None) -> Accepted:
        if self._is_plain(call):
            return Accepted(new.id, await self._store.create(new, left))
        return await self._store.admit(new, await self._terms(call), left)

    async def _stored_and_heard(self, call: Call, new: NewTask, left: Left | None) -> Accepted:
        """The same for a caller who wants live events: an actor may send some as soon as the task is stored."""
        await self._feed.expect(new.id)
        stored = False
        try:
            accepted = await self._stored(call, new, left)
            stored = accepted.task_id == new.id
        finally:
            if not stored:
                self._feed.expect_nobody(new.id)
        return accepted

    async def earlier(self, caller: Caller, key: str | None, flow: str, payload: Any) -> str | None:
        """The task stored under this key by the same call, at a time when the flow was served. Raises KeyReused."""
        if key is None:
            return None
        return await self._store.find_call(caller.owner, key, await self._digest("call", flow, payload))

    def check_backlog(self, call: Call) -> None:
        """Refuse a new call while too much waits for its first actor. A task that is run again was accepted before.
        Raises QueueFull."""
        if self._rules.backlog is not None and call.retry_of is None:
            self._rules.backlog.check(call.served.flow.entrypoint)

    def _is_plain(self, call: Call) -> bool:
        """Whether nothing has to be counted or found before the call is stored."""
        caps = (self._rules.flow_cap, self._owner_cap(call))
        named = call.conversation is not None and call.conversation.client_task_id is not None
        kept = call.key is None and call.retry_of is None and call.destination is None
        return caps == (None, None) and kept and not named

    async def _terms(self, call: Call) -> Terms:
        digest = None if call.key is None else await self._digest(*call.identity)
        return Terms(call.key, digest, call.retry_of, owner_cap=self._owner_cap(call), flow_cap=self._rules.flow_cap)

    def _owner_cap(self, call: Call) -> int | None:
        caller = call.caller
        if isinstance(caller, Principal) and caller.max_open_tasks is not None:
            return caller.max_open_tasks or None
        return self._rules.owner_cap

    async def _repeated(self, call: Call) -> str | None:
        """The task of a call that was accepted earlier but would be refused today, because the flow's schema or the
        size limit changed between the call and its repetition, or because too much waits now. Raises KeyReused."""
        if call.key is None:
            return None
        return await self._store.find_call(call.caller.owner, call.key, await self._digest(*call.identity))

    def _new_task(self, task_id: str, call: Call, payload: JsonText) -> NewTask:
        flow = call.served.flow
        now = self._now()
        envelope = blank(call.served, self._rules.mesh_url)
        headers = {**call.headers, **self._spans.outgoing()}
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
            envelope=envelope.filled(task_id, headers, now, payload, self._of_caller(call)),
            via=None if isinstance(call.caller, Program) else call.caller.via,
            source=current_source() or None,
            conversation=call.conversation,
            destination=call.destination,
        )

    def _of_caller(self, call: Call) -> JsonText:
        """The header by which actors can act for their caller, encoded; "" at an open gateway, which knows nobody."""
        caller = call.caller
        return self._caller_header(caller) if isinstance(caller, Principal) else ""

    def _header_of(self, caller: Principal) -> JsonText:
        """x-asya-caller with the caller's id and the claims that a setting names; never a credential."""
        claims = {name: value for name, value in caller.claims.items() if name in self._rules.caller_claims}
        return f"{jsontext.dumps(HEADER_CALLER)}:{jsontext.dumps({'id': caller.owner, 'claims': claims})}"
