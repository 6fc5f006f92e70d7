"""Which tasks have destinations, as far as this process knows."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.feed import CHANNEL as UPDATES

CHANNEL = "asya_destinations"
MOST_KNOWN = 50_000
"""Most tasks that a process remembers, whatever its memory. What it forgets, a poll finds."""
KNOWN = 256
"""Bytes of a task that is remembered. Its id is one of ours."""

Look = Callable[[Iterable[str] | None], None]


class DestinationAnnouncements:
    """Tells all processes which tasks have got a destination, and tells this one's host of the growth of their logs.
    Most tasks have none, so the rings of all others cost nothing. `most_bytes`: of the tasks that are remembered."""

    def __init__(self, bell: Bell, *, most_bytes: int = CACHE_BYTES) -> None:
        self._bell = bell
        self.most_bytes = most_bytes
        self.most_known = min(MOST_KNOWN, most_bytes // KNOWN)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._look: Look | None = None
        self._follows = False

    def tell(self, task_id: str) -> None:
        """The task has got a destination. This process looks at once, and the others when they hear it."""
        self._announced(task_id)
        self._bell.ring(CHANNEL, [task_id])

    def listen(self, look: Look) -> None:
        """Call `look` with the tasks that are to be looked at, with None for all."""
        self._look = look
        self._bell.subscribe(CHANNEL, self._announced)
        self._bell.on_connect(lambda: look(None))

    def known(self, task_ids: Iterable[str]) -> None:
        """These have destinations."""
        for task_id in task_ids:
            self._known[task_id] = None
            self._known.move_to_end(task_id)
        while len(self._known) > self.most_known:
            self._known.popitem(last=False)
        if self._known and not self._follows:
            self._follows = True
            self._bell.subscribe(UPDATES, self._grown)

    def _announced(self, payload: str) -> None:
        task_ids = payload.split("\n")
        self.known(task_ids)
        self._say(task_ids)

    def _grown(self, payload: str) -> None:
        self._say([task_id for task_id in payload.split("\n") if task_id in self._known])

    def _say(self, task_ids: list[str]) -> None:
        if task_ids and self._look is not None:
            self._look(task_ids)
