"""Pages of an owner's tasks in the order in which their status last changed, newest first.

That order has no index for open tasks, because a column that reports change must not be indexed. So a bounded number of
them, the ones created last, are sorted in memory. Ended ones are read in the order of an index, a bounded number of
them. Both are merged. Open tasks beyond that number follow at the end, in the order of their creation. The tasks of a
context, which has an index of its own by creation, are sorted in memory, too, whatever their state.
"""

from dataclasses import replace

from asya_gateway.domain.conversation_lists import ConversationFilter, Place, Places, Position
from asya_gateway.storage.a2a.listing_sql import (
    arguments,
    count_sql,
    edge_sql,
    older_edge_sql,
    older_page_sql,
    page_sql,
    walks,
)
from asya_gateway.storage.database import Database

LOOKS = (2_000, 8_000, 40_000)
"""Tasks that a page's statements look at in turn, in the order of an index, while the page is not full."""
MOST_SORTED = 5_000
"""Most tasks that are sorted."""
MOST_COUNTED = 10_000
"""Most tasks that are looked at to count a list: so many open ones, so many ended ones."""


async def places(database: Database, query: ConversationFilter) -> Places:
    """A page. It may end before it is full; `next` then says where to continue."""
    return await (_older if query.after is not None and query.after.beyond else _sorted)(database, query)


async def count(database: Database, query: ConversationFilter) -> int:
    """The number of tasks in the list, among those that are looked at."""
    whole = arguments(replace(query, after=None), looked_at=MOST_COUNTED, to_sort=MOST_COUNTED)
    found: int = await database.fetchval(count_sql(query), *whole)
    return found


async def _sorted(database: Database, query: ConversationFilter) -> Places:
    """A page of the tasks that are in the order of the times of their statuses."""
    found: list[Place] = []
    after, oldest = query.after, None if query.after is None else query.after.oldest
    for look in LOOKS:
        part = replace(query, after=after, limit=query.limit - len(found))
        rows = await database.fetch(
            page_sql(part), *arguments(part, returned=part.limit + 1, looked_at=look, to_sort=MOST_SORTED)
        )
        first = rows[0]
        if oldest is None and first["oldest_id"] is not None:
            oldest = (first["oldest_at"], first["oldest_id"])
        edge = await _edge(database, edge_sql(), part, look) if walks(query) and first["walked"] <= part.limit else None
        read: list[Place] = [(row["since"], row["id"]) for row in rows if row["id"] is not None]
        found += read if edge is None else [place for place in read if place >= edge]
        after = None if edge is None else Position(edge, oldest)
        if edge is None or len(found) > query.limit:
            break
    if len(found) > query.limit:
        after = Position(found[query.limit - 1], oldest)
    elif after is None and oldest is not None:
        after = Position(oldest, beyond=True)
    return Places(found[: query.limit], after, oldest)


async def _older(database: Database, query: ConversationFilter) -> Places:
    """A page of the tasks that are not sorted."""
    found: list[Place] = []
    after = query.after
    for look in LOOKS:
        part = replace(query, after=after, limit=query.limit - len(found))
        rows = await database.fetch(older_page_sql(part), *arguments(part, returned=part.limit + 1, looked_at=look))
        found += [(row["since"], row["id"]) for row in rows]
        if len(found) > query.limit:
            after = Position(found[query.limit - 1], beyond=True)
            break
        edge = await _edge(database, older_edge_sql(part), part, look)
        after = None if edge is None else Position(edge, beyond=True)
        if after is None:
            break
    return Places(found[: query.limit], after, beyond=True)


async def _edge(database: Database, sql: str, query: ConversationFilter, look: int) -> Place | None:
    """The last of so many tasks; None if there are fewer."""
    row = await database.fetchrow(sql, *arguments(query, looked_at=look))
    return None if row is None else (row["since"], row["id"])
