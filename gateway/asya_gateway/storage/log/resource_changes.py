"""Announcements of changed resources in Postgres: a row a resource, a bell, and a look at the rows that somebody waits
for each second."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from asya_gateway.storage.database import Database
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.rounds import ReadRounds
from asya_gateway.storage.removing import in_chunks

CHANNEL = "asya_resources"
KEPT = 3_600.0
"""Seconds that a change is kept. A subscriber that hears nothing for so long has long been told to read again."""

# In the order of keys, so that two announcements of the same resources cannot wait for each other.
_ANNOUNCE = """
INSERT INTO resource_changes AS known (uri)
SELECT uri FROM unnest($1::text[]) AS n(uri) ORDER BY uri
ON CONFLICT (uri) DO UPDATE SET number = known.number + 1, changed_at = clock_timestamp()
"""

_NUMBERS = "SELECT uri, number, changed_at FROM resource_changes WHERE uri = ANY ($1)"

_FORGET = """
DELETE FROM resource_changes WHERE uri = ANY (ARRAY(
    SELECT uri FROM resource_changes WHERE changed_at < now() - make_interval(secs => $1)
    ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

Changed = Callable[[str], None]
State = tuple[object, ...]


class PostgresResourceChanges:
    """ResourceChanges on the table resource_changes."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database = database
        self._bell = bell
        self._watchers: dict[str, list[Changed]] = defaultdict(list)
        self._known: dict[str, State] = {}
        """What was last read of each watched resource; () for one without a row."""
        self._rounds = ReadRounds("resource changes", self._read)
        self._unsubscribe: Callable[[], None] | None = None
        self.start, self.stop = self._rounds.start, self._rounds.stop
        bell.on_connect(self._rounds.look_at_all)

    async def announce(self, uris: Sequence[str]) -> None:
        """Store the changes, then notify."""
        await self._database.execute(_ANNOUNCE, list(uris))
        self._bell.ring(CHANNEL, uris)

    def watch(self, uris: Iterable[str], changed: Changed) -> Callable[[], None]:
        """Listen as long as somebody watches. What was announced before this call is not told, unless it is announced
        while the first look is under way."""
        watched = list(dict.fromkeys(uris))
        for uri in watched:
            self._watchers[uri].append(changed)
        if watched and self._unsubscribe is None:
            self._unsubscribe = self._bell.subscribe(CHANNEL, self._heard)
        self._rounds.look_at(watched)
        return lambda: self._leave(watched, changed)

    async def retire(self) -> None:
        """Remove old rows, in chunks."""
        await in_chunks(self._database, _FORGET, KEPT)

    def _leave(self, uris: Sequence[str], changed: Changed) -> None:
        for uri in uris:
            self._watchers[uri].remove(changed)
            if not self._watchers[uri]:
                del self._watchers[uri]
                self._known.pop(uri, None)
        if not self._watchers and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _heard(self, payload: str) -> None:
        """Those that were named. What is not watched yet costs nothing."""
        named = [uri for uri in payload.split("\n") if uri in self._watchers]
        # Before the first look at a resource, what it was is unknown, so that any announcement counts.
        for uri in named:
            self._known.setdefault(uri, ())
        self._rounds.look_at(named)

    async def _read(self, named: set[str] | None) -> None:
        uris = [uri for uri in (self._watchers if named is None else named) if uri in self._watchers]
        if not uris:
            return
        rows = await self._database.fetch(_NUMBERS, uris)
        found: dict[str, State] = {row["uri"]: (row["number"], row["changed_at"]) for row in rows}
        for uri in uris:
            state = found.get(uri, ())
            known = self._known.get(uri)
            self._known[uri] = state
            # A row that retention has removed is no change.
            if known is not None and state and state != known:
                for changed in tuple(self._watchers.get(uri, ())):
                    changed(uri)
