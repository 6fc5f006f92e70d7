"""Callers that now and then ask for a task of somebody else, in each way in which a task can be asked for. They have to
get what an id that never was gets."""

import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from typing_extensions import override

from tests.chaos.calls import Call
from tests.chaos.long_streams import LongStreams
from tests.chaos.owners import Owner
from tests.chaos.records import Records
from tests.support.mcp import TASKS_DECLARED, stateless_body, stateless_headers

EVERY = 5
"""Every so many calls end with a question after the task of another owner."""
_A2A = {"A2A-Version": "1.0"}


class _Question(NamedTuple):
    method: str
    path: str
    body: Any
    headers: dict[str, str]


def _rest(method: str, path: str, body: Any = None) -> _Question:
    return _Question(method, path, body, {})


def _mcp(method: str, **params: str) -> _Question:
    body = stateless_body(method, params, **{"io.modelcontextprotocol/clientCapabilities": TASKS_DECLARED})
    return _Question("POST", "/mcp", body, stateless_headers(body))


def _a2a(method: str, task: str) -> _Question:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"id": task}}
    return _Question("POST", "/a2a/work", body, _A2A)


_WAYS: tuple[Callable[[str], _Question], ...] = (
    lambda task: _rest("GET", f"/tasks/{task}"),
    lambda task: _a2a("GetTask", task),
    lambda task: _mcp("tasks/get", taskId=task),
    lambda task: _rest("GET", f"/stream/{task}"),
    lambda task: _rest("POST", f"/tasks/{task}/cancel", {}),
    lambda task: _a2a("CancelTask", task),
    lambda task: _mcp("tasks/cancel", taskId=task),
    lambda task: _rest("POST", f"/tasks/{task}/resume", {"answer": {"name": "Eve"}}),
    lambda task: _rest("POST", f"/tasks/{task}/retry", {}),
    lambda task: _a2a("SubscribeToTask", task),
    lambda task: _mcp("resources/read", uri=f"asya://tasks/{task}"),
    lambda task: _mcp("resources/read", uri=f"asya://tasks/{task}/result"),
)


class Others(LongStreams):
    """Callers with keys, all kinds of calls."""

    stage = 0.4

    def __init__(self, url: str, records: Records, owners: Sequence[Owner]) -> None:
        super().__init__(url, records, owners)
        self._ways = itertools.cycle(_WAYS)

    @override
    async def afterwards(self, call: Call) -> None:
        foreign = [self.known[owner.name] for owner in self._owners if owner != call.owner and self.known[owner.name]]
        if call.number % EVERY or not foreign:
            return
        task = secrets.choice(secrets.choice(foreign))
        way = next(self._ways)
        answers = []
        for id in (task, task[:-12] + secrets.token_hex(6)):
            question = way(id)
            status, text = await self.answer(call, question.method, question.path, question.body, **question.headers)
            text = text.replace(id, "ID")
            call.heard(text)
            answers.append(f"{question.path.replace(id, 'ID')} {status} {text}")
        call.note("asked", task=task, statuses=tuple(answers))
