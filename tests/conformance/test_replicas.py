"""Two replicas of the authorization server on one database: a client notices nothing of them."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.conformance.deployment import Deployment
from tests.support.oauth import Pkce
from tests.support.oauth_server import OAuthCaller
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)


class Both:
    """A client of both replicas."""

    def __init__(self, deployment: Deployment, session: aiohttp.ClientSession) -> None:
        self.session, self.urls = session, (deployment.url, deployment.other)
        self.one, self.two = [OAuthCaller(url, session) for url in self.urls]

    async def statuses(self, token: str) -> list[int]:
        """What each answers to this access token."""
        found = []
        for url in self.urls:
            async with self.session.get(f"{url}/tasks", headers={"Authorization": f"Bearer {token}"}) as answer:
                found.append(answer.status)
        return found


@pytest.fixture
async def both(deployment: Deployment) -> AsyncIterator[Both]:
    async with aiohttp.ClientSession() as session:
        yield Both(deployment, session)


async def test_a_code_of_one_is_redeemed_on_the_other_once(both: Both) -> None:
    client_id, pkce = await both.one.client_id(), Pkce()
    code = (await both.one.authorize(client_id, pkce)).redirected["code"]
    answers = await asyncio.gather(*(each.redeem(client_id, code, pkce) for each in (both.two, both.one)))
    assert sorted(answer.status for answer in answers) == [200, 400]
    [issued] = [answer.json for answer in answers if answer.status == 200]
    # RFC 6749, section 4.1.2: a code used twice SHOULD revoke all tokens issued for it.
    await until(lambda: _refused(both, issued["access_token"]), what="the end of what the code gave")


async def test_a_refresh_token_presented_on_both_at_once_leaves_one_line(both: Both) -> None:
    client_id = await both.one.client_id()
    token = (await both.one.tokens(client_id))["refresh_token"]
    for _ in range(5):
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
        answers = await asyncio.gather(*(each.token(**form) for each in (both.one, both.two) * 2))
        assert [answer.status for answer in answers] == [200] * 4
        [token] = {answer.json["refresh_token"] for answer in answers}
        for answer in answers:
            assert await both.statuses(answer.json["access_token"]) == [200, 200]


@pytest.mark.parametrize("what", ["access_token", "refresh_token"])
async def test_a_revocation_on_one_is_in_force_on_the_other(both: Both, what: str) -> None:
    client_id = await both.one.client_id()
    issued = await both.one.tokens(client_id)
    assert await both.statuses(issued["access_token"]) == [200, 200]
    assert (await both.one.post("/oauth/revoke", {"client_id": client_id, "token": issued[what]})).status == 200
    await until(lambda: _refused(both, issued["access_token"]), what="the revocation on both")
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": issued["refresh_token"]}
    (await both.two.token(**form)).refuses("invalid_grant")


async def _refused(both: Both, token: str) -> bool:
    return await both.statuses(token) == [401, 401]
