"""Tells the open streams of this process what replicas do with their sessions: by the bell, and by a look every few
seconds for words that were lost."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.sessions.ports import SessionObserver
from asya_gateway.domain.sessions.session import Session
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.sessions.channel import CANCELED, CHANGED, CHANNEL, POSTED, REQUESTS, RESUMED, Word

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks at every watched session."""
AT_ONCE = 256
"""Sessions that one statement reads."""

Read = Callable[[Iterable[bytes]], Awaitable[dict[bytes, Session]]]


class PollingSessionWatch:
    """SessionWatch. One look reads the rows of many watched sessions in one statement."""

    def __init__(self, bell: Bell, read: Read, *, look_every: float = LOOK_EVERY) -> None:
        self._bell = bell
        self._read = read
        self._look_every = look_every
        self._watchers: dict[bytes, dict[SessionObserver, Session]] = defaultdict(dict)
        self._changed: set[bytes] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] = lambda: None
        bell.on_connect(self._look_at_all)

    def __len__(self) -> int:
        return len(self._watchers)

    async def start(self) -> None:
        """Begin to listen and to look."""
        self._leave = self._bell.subscribe(CHANNEL, self._heard)
        self._task = asyncio.create_task(self._run(), name="sessions")

    async def stop(self) -> None:
        """Look no more. Watchers are told nothing."""
        self._leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def ring(self, word: str) -> None:
        """Tell every replica."""
        self._bell.ring(CHANNEL, [word])

    def tell_resumed(self, session: bytes, request: bytes, holder: str) -> None:
        """Have other holders of a stream end it."""
        self.ring(Word(RESUMED, session, f"{request.hex()} {holder}").text())

    def watch(self, session: Session, news: SessionObserver) -> AbstractContextManager[None]:
        """Tell of the session while the block runs. What changed since it was read is told with the next look."""
        return _Watching(self._watchers, session, news)

    def _look_at_all(self) -> None:
        self._changed.update(self._watchers)
        self._wake.set()

    def _heard(self, payload: str) -> None:
        for line in payload.split("\n"):
            word = Word.read(line)
            if word is not None and word.key in self._watchers:
                self._tell(word)

    def _tell(self, word: Word) -> None:
        request, _, holder = word.more.partition(" ")
        if word.kind == CHANGED:
            self._changed.add(word.key)
            self._wake.set()
            return
        for news in tuple(self._watchers[word.key]):
            match word.kind:
                case str(kind) if kind == REQUESTS:
                    news.requests()
                case str(kind) if kind == CANCELED:
                    news.canceled(bytes.fromhex(request))
                case str(kind) if kind == RESUMED:
                    news.resumed(bytes.fromhex(request), holder)
                case str(kind) if kind == POSTED:
                    news.posted()
                case _:
                    pass

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._look_every
        while True:
            try:
                async with asyncio.timeout_at(look_at):
                    await self._wake.wait()
            except TimeoutError:
                self._changed.update(self._watchers)
                look_at = loop.time() + self._look_every
            self._wake.clear()
            changed, self._changed = self._changed & self._watchers.keys(), set()
            if not changed:
                continue
            try:
                for keys in _parts(sorted(changed)):
                    self._compare(keys, await self._read(keys))
            except Unavailable:
                # Nobody is told that a session has ended because the database is away. The next look asks again.
                pass
            except Exception:
                log.exception("sessions cannot be read")

    def _compare(self, keys: Iterable[bytes], found: dict[bytes, Session]) -> None:
        for key in keys:
            now = found.get(key)
            for news, known in tuple(self._watchers.get(key, {}).items()):
                if now is None:
                    news.ended()
                elif now is not known:
                    self._watchers[key][news] = now
                    news.changed(now)


class _Watching:
    """A block in which news of a session is told. (A class, because each call of a session has one, and generators
    cost more.)"""

    __slots__ = ("_news", "_session", "_watchers")

    def __init__(
        self, watchers: dict[bytes, dict[SessionObserver, Session]], session: Session, news: SessionObserver
    ) -> None:
        self._watchers = watchers
        self._session = session
        self._news = news

    def __enter__(self) -> None:
        self._watchers[self._session.key][self._news] = self._session

    def __exit__(self, *_: object) -> None:
        found = self._watchers[self._session.key]
        del found[self._news]
        if not found:
            del self._watchers[self._session.key]


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))
