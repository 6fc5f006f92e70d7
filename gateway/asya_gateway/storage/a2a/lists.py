"""Lists of conversations."""

from collections.abc import Sequence

from asya_gateway.domain.conversation_lists import ConversationFilter, Listed, Place, Places
from asya_gateway.storage.a2a.contents import contents
from asya_gateway.storage.a2a.listing import count, places
from asya_gateway.storage.database import Database


class PostgresConversationLists:
    """Implements the domain's ConversationLists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def places(self, query: ConversationFilter) -> Places:
        return await places(self._database, query)

    async def count(self, query: ConversationFilter) -> int:
        return await count(self._database, query)

    async def contents(
        self, owner: str, found: Sequence[Place], *, messages: int | None, results: bool
    ) -> Sequence[Listed]:
        return await contents(self._database, owner, found, messages=messages, results=results)
