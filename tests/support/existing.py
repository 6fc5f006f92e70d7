"""A simulation of existing sidecars and their crew, based on what they send (docs/protocols/mesh.md): the Go sidecar of
spring 2026 with its runtime, x-sink, x-sump, x-pause and x-resume. Messages pass from actor to actor in memory."""

import copy
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from asya_crds import jsontext

Message = dict[str, Any]
Post = Callable[[str, Any], Awaitable[tuple[int, Any]]]
Handler = Callable[[Message], Any]
"""Gets the message, may change route.next and headers, and returns a payload, or several as an Fanout."""

TRIES = 5


class Fanout(list[Any]):
    """The payloads of a generator, one frame each."""


@dataclass
class ExistingActors:
    """Actors by name, each behind a sidecar. `held` are actors whose messages stay in their queue."""

    post: Post
    handlers: dict[str, Handler]
    store: dict[str, Message] = field(default_factory=dict)
    question: Any = field(default_factory=lambda: {"prompt": "Task paused", "fields": []})
    queue: deque[Message] = field(default_factory=deque)
    reports: list[tuple[str, Message, int]] = field(default_factory=list)
    """(path, body, HTTP status) of everything that was sent."""

    async def run(self, envelope: Message) -> None:
        """Work until no message is left."""
        self.queue.append(copy.deepcopy(envelope))
        while self.queue:
            await self._deliver(self.queue.popleft())

    async def _deliver(self, message: Message) -> None:
        phase = message["status"].get("phase")
        actor = "x-sump" if phase == "failed" else message["route"]["curr"] or "x-sink"
        if actor in ("x-sink", "x-sump"):
            await self._end(message, actor)
            return
        await self._progress(message, "received", message="Received message (0.1 KB)", message_size_kb=0.1)
        await self._progress(message, "processing", message=f"Processing in {actor}")
        work = copy.deepcopy(message)
        try:
            result = self._handler(actor)(work)
        except Exception as error:  # noqa: BLE001 # a handler may raise anything
            self.queue.append(_failure(message, error))
            return
        payloads = result if isinstance(result, Fanout) else [result]
        for index, payload in enumerate(payloads):
            await self._frame(_frame(work, payload, index), index)

    async def _frame(self, frame: Message, index: int) -> None:
        if index == 0:
            await self._progress(frame, "completed", message="Completed processing in 1ms", duration_ms=1)
        else:
            child = {"id": frame["id"], "parent_id": frame["parent_id"], **frame["route"]}
            await self.send("/mesh", child)
        question = frame["headers"].get("x-asya-pause")
        if question is None:
            self.queue.append(frame)
            return
        waiting = "Paused: waiting for external input"
        await self._progress(frame, "completed", message=waiting, pause_metadata=question)

    async def _end(self, message: Message, actor: str) -> None:
        if message.get("parent_id") or "x-asya-fan-in" in message["headers"]:
            return
        route = message["route"]
        body = {"id": message["id"], "timestamp": "2026-04-01T00:00:00Z"}
        if actor == "x-sink":
            body |= {"status": "succeeded", "progress": 1.0, "result": message["payload"]}
        else:
            payload = message["payload"]
            body |= {
                "status": "failed",
                "error": payload["error"],
                "error_details": payload.get("details"),
                **route,
                "current_actor_idx": len(route["prev"]),
                "current_actor_name": route["curr"],
            }
        await self.send(f"/mesh/{message['id']}/final", body)

    async def _progress(self, sent: Message, status: str, **more: Any) -> None:
        body = {**sent["route"], "status": status, **more}
        for _ in range(TRIES):
            if await self.send(f"/mesh/{sent['id']}/progress", body) == 200:
                return

    async def send(self, path: str, body: Any) -> int:
        status, _ = await self.post(path, body)
        self.reports.append((path, body, status))
        return status

    def _handler(self, actor: str) -> Handler:
        crew: dict[str, Handler] = {"x-pause": self._pause, "x-resume": self._resume}
        return self.handlers.get(actor) or crew[actor]

    def _pause(self, message: Message) -> Any:
        self.store[message["id"]] = copy.deepcopy(message) | {"question": self.question}
        message["route"]["next"].insert(0, "x-resume")
        message["headers"]["x-asya-pause"] = self.question
        return message["payload"]

    def _resume(self, message: Message) -> Any:
        saved = self.store.pop(message["headers"].pop("x-asya-resume-task"))
        message["route"]["next"] = saved["route"]["next"]
        question = jsontext.loads(saved["question"]) if isinstance(saved["question"], str) else saved["question"]
        names = {each["name"] for each in question["fields"]}
        answer = message["payload"]
        return saved["payload"] | ({key: answer[key] for key in names} if names else answer)


def _frame(work: Message, payload: Any, index: int) -> Message:
    route = work["route"]
    left = route["next"]
    parent = {"parent_id": work["id"]} if index else {}
    return {
        "id": str(uuid.uuid4()) if index else work["id"],
        **({"parent_id": work["parent_id"]} if work.get("parent_id") else parent),
        "route": {"prev": [*route["prev"], route["curr"]], "curr": left[0] if left else "", "next": left[1:]},
        "headers": dict(work["headers"]),
        "status": {"phase": "pending", "attempt": 1, "max_attempts": 1},
        "payload": payload,
    }


def _failure(message: Message, error: Exception) -> Message:
    mro = [cls.__name__ for cls in type(error).__mro__[1:-1]]
    details = {"message": str(error), "type": type(error).__name__, "mro": mro, "traceback": "Traceback"}
    payload = {"error": "processing_error", "details": details, "original_payload": message["payload"]}
    status = {"phase": "failed", "reason": "PolicyExhausted", "actor": message["route"]["curr"], "attempt": 1}
    parent = {"parent_id": message["parent_id"]} if message.get("parent_id") else {}
    failed = {"id": message["id"], "route": message["route"], "headers": {}, "status": status, "payload": payload}
    return {**parent, **failed}
