"""subscriptions/listen of callers with rights: who hears of which change."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from asya_gateway.domain.clock import own_time
from asya_gateway.domain.identity.scopes import rights_of
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.protocols.http.admission import Admission
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import open_post, serve_tools, start_mcp, stateless_body, stateless_headers
from tests.support.principals import Tokens, bearer

ECHO: dict[str, Any] = {"name": "echo", "entrypoint": "a", "mcp": {}}
OTHER: dict[str, Any] = {"name": "other", "entrypoint": "a", "mcp": {}}
CHANGED = "notifications/tools/list_changed"


class Doors:
    """A closed gateway's doors, and the rights behind them."""

    def __init__(self) -> None:
        self.tokens = Tokens(echo="flow:echo:read", other="flow:other:read")
        self.authenticating = Authenticating([self.tokens], clock=own_time)
        self.admission = Admission(self.authenticating)

    def give(self, name: str, scopes: str) -> None:
        """Change what a token gives, as a new file of roles does."""
        principal = self.tokens.principals[name]
        self.tokens.principals[name] = replace(principal, rights=rights_of(frozenset(scopes.split())))
        self.authenticating.forget()


@pytest.fixture
def doors() -> Doors:
    return Doors()


@pytest.fixture
async def gateway(database_url: str, doors: Doors) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, doors=doors.admission) as made:
        serve_tools(made, [ECHO, OTHER])
        yield made


def listening(gateway: Gateway, token: str) -> Any:
    body = stateless_body("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    return open_post(gateway, body, {**stateless_headers(body), **bearer(token)})


async def heard(reader: Reader) -> str:
    event = await reader.next()
    return "" if event is None else str(event.data.get("method", "result"))


async def test_a_change_of_tools_is_heard_by_those_who_see_them(gateway: Gateway) -> None:
    async with listening(gateway, "echo") as one, listening(gateway, "other") as two:
        readers = Reader(one), Reader(two)
        for reader in readers:
            assert (await heard(reader)).endswith("acknowledged")
        serve_tools(gateway, [ECHO, {**OTHER, "description": "Changed."}], 2)
        assert await heard(readers[1]) == CHANGED
        serve_tools(gateway, [{**ECHO, "description": "Changed."}], 3)
        # Had it heard of the first change, there would be another notification before the end.
        assert await heard(readers[0]) == CHANGED


async def test_a_change_of_rights_is_heard_by_those_whose_list_it_changes(gateway: Gateway, doors: Doors) -> None:
    async with listening(gateway, "echo") as one, listening(gateway, "other") as two:
        readers = Reader(one), Reader(two)
        for reader in readers:
            assert (await heard(reader)).endswith("acknowledged")
        doors.give("other", "flow:*:read")
        assert await heard(readers[1]) == CHANGED
        # The new rights count from then on; the other subscriber heard nothing until now.
        doors.give("echo", "flow:*:read unrelated")
        assert await heard(readers[0]) == CHANGED


async def test_a_credential_that_is_no_longer_good_ends_its_subscription(gateway: Gateway, doors: Doors) -> None:
    async with listening(gateway, "echo") as response:
        reader = Reader(response)
        assert (await heard(reader)).endswith("acknowledged")
        del doors.tokens.principals["echo"]
        doors.authenticating.forget()
        # patterns/subscriptions, "Graceful Closure": the server responds to the original request with its result.
        assert await heard(reader) == "result"
        assert await reader.next() is None
