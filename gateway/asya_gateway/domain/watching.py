"""Waiting for the end of one task, or for its question, without following its log."""

from contextlib import AbstractContextManager
from typing import Self

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.identity.principals import Asker
from asya_gateway.domain.identity.scopes import TaskVerb
from asya_gateway.domain.owners import OwnerScope, owner_of
from asya_gateway.domain.ports import EndWatch, TaskStore, UpdateFeed
from asya_gateway.domain.reach import scope_of
from asya_gateway.domain.task import Task, TaskHead


class OutcomeWatch:
    """Implements EndWatch within its block.

    Nearly everybody waits for a task of their own, so that is what is read. What is not there may be a task of another
    owner that the caller's scopes open; only then its row is looked at to find out.
    """

    def __init__(self, store: TaskStore, feed: UpdateFeed, task_id: str, caller: Asker, *, payload: bool) -> None:
        self._store = store
        self._feed = feed
        self._task_id = task_id
        self._caller = caller
        self._payload = payload
        self._own = True
        self._entered = self._of(owner_of(caller))

    def __enter__(self) -> Self:
        self._watch = self._entered.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._entered.__exit__(None, None, None)

    async def next(self, wait: float) -> Task | TaskHead | None:
        """As EndWatch.next. Raises TaskNotFound, Unavailable."""
        try:
            return await self._watch.next(wait)
        except TaskNotFound:
            if not self._own:
                raise
        scope = await scope_of(self._store, self._task_id, self._caller, TaskVerb.READ)
        self._own = False
        self._entered.__exit__(None, None, None)
        self._entered = self._of(scope)
        self._watch = self._entered.__enter__()
        return await self._watch.next(wait)

    def _of(self, owner: OwnerScope) -> AbstractContextManager[EndWatch]:
        return self._feed.watch(self._task_id, owner=owner, payload=self._payload)
