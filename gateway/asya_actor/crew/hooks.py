"""Hooks: actors that get every ended message after its end was reported. They cannot change that end."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from asya_actor.crew.errors import failure_of
from asya_actor.publishing import RetryingPublisher
from asya_crds.envelope import Envelope, Route
from asya_crds.naming import HEADER_FAN_IN, HEADER_HOOK, HEADER_MESH_STATUS
from asya_transports.port import OutboundMessage

log = logging.getLogger(__name__)

_ENDS = ("succeeded", "failed", "dropped")
"""Outcomes that end a message; `dropped` ones are not reported to any gateway."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Each of `actors` gets a copy. `children`: whether children of a fan-out are also sent."""

    actors: tuple[str, ...]
    publisher: RetryingPublisher
    children: bool = False

    async def send(self, envelope: Envelope) -> None:
        """Send the message to each hook. A copy that no queue accepts is logged and dropped."""
        if HEADER_FAN_IN in envelope.headers or (envelope.parent_id and not self.children):
            return
        copies = [_copy(envelope, actor) for actor in self.actors]
        if not copies:
            return
        answers = await self.publisher.publish(
            [OutboundMessage(copy.route.curr, copy.to_json().encode(), id=copy.id) for copy in copies]
        )
        for copy, error in zip(copies, answers, strict=True):
            if error is not None:
                log.error("the hook %s does not get the end of %s: %s", copy.route.curr, copy.id, error)


async def ended(hooks: Hooks, envelope: Envelope, report: Callable[[], Awaitable[str]]) -> str:
    """Report an end, then send the message to the hooks. Messages that a hook sends or fails with end no task."""
    hook = envelope.headers.get(HEADER_HOOK)
    if hook is not None:
        if envelope.status.get("phase") == "failed":
            log.error("the hook %s failed on the end of %s: %s", hook, envelope.id, failure_of(envelope).message)
        return "hooked"
    outcome = await report()
    if outcome in _ENDS:
        await hooks.send(envelope)
    return outcome


def _copy(envelope: Envelope, actor: str) -> Envelope:
    """The ended message, routed to the hook. It has no gateway URL: for mesh the task has ended, so the hook's worker
    would be told not to run. It has no deadline, because that was the task's, and a hook starts after its end."""
    route = envelope.route
    prev = (*route.prev, route.curr) if route.curr else route.prev
    status = {key: value for key, value in envelope.status.items() if key != "deadline_at"} | {"attempt": 1}
    headers = dict(envelope.headers) | {HEADER_HOOK: actor, HEADER_MESH_STATUS: "off"}
    return envelope.with_(route=Route(prev, actor, ()), headers=headers, status=status)
