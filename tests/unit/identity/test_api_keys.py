"""Keys as credentials: who they make of a caller, and what is said of one that is not good."""

from dataclasses import replace
from typing import Any

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.key_text import new_key
from asya_gateway.domain.identity.keys import KeyRecord, KeyRing, KeySource
from asya_gateway.domain.identity.principals import Via
from asya_gateway.domain.identity.revocations import STALE_AFTER, Revocations
from asya_gateway.identity.api_keys import ApiKeys
from tests.support.keys import KEY

FILED = new_key()
NOW = 1_000.0


class World:
    """A pod with one key in the table and one in the file."""

    def __init__(self, **changes: Any) -> None:
        self.ring, self.now, self.uses = KeyRing(), NOW, list[tuple[str, float]]()
        self.monotonic = 0.0
        self.revocations = Revocations(self.ring.lives, lambda: self.monotonic)
        self.revocations.seen(0.0)
        self.record = KeyRecord(KEY.id, "ci", KEY.hash, frozenset({"mcp:read"}), frozenset({"ops"}), NOW + 10)
        self.ring.replace(KeySource.TABLE, [self.record])
        filed = replace(self.record, id=FILED.id, hash=FILED.hash, expires_at=None)
        self.ring.replace(KeySource.FILE, [filed])
        self.keys = ApiKeys(
            self.ring, self.revocations, lambda: self.now, used=lambda *use: self.uses.append(use), **changes
        )

    async def refusal(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            await self.keys.verify(token)
        return caught.value.message


async def test_a_key_makes_a_principal_of_its_name() -> None:
    principal = await World().keys.verify(KEY.text)
    assert (principal.owner, principal.via, principal.expires_at) == ("key:ci", Via.KEY, NOW + 10)
    assert principal.rights.scopes == {"mcp:read"}
    assert principal.revocables == {f"key:{KEY.id}"}
    assert principal.resource is None


async def test_a_name_is_one_principal_in_table_and_file() -> None:
    world = World()
    assert (await world.keys.verify(FILED.text)).owner == (await world.keys.verify(KEY.text)).owner


async def test_a_keys_roles_are_those_of_its_principal() -> None:
    principal = await World().keys.verify(KEY.text)
    assert principal.rights.scopes == {"mcp:read"}
    assert principal.roles == {"ops"}


async def test_unknown_mistyped_expired_and_revoked_keys_are_refused_with_one_message() -> None:
    world = World()
    said = {
        await world.refusal(new_key().text),
        await world.refusal(KEY.text[:-1] + ("0" if KEY.text[-1] != "0" else "1")),
        await world.refusal("asya_"),
        await world.refusal("asya_\ud800\u20ac"),
    }
    world.now = NOW + 10
    said.add(await world.refusal(KEY.text))
    world.now = NOW
    world.ring.replace(KeySource.TABLE, [])
    said.add(await world.refusal(KEY.text))
    assert said == {"the key is not valid"}


async def test_nobody_is_refused_by_what_a_pod_knew_too_long_ago() -> None:
    world = World()
    world.monotonic += STALE_AFTER + 1
    for token in (KEY.text, new_key().text, "asya_x"):
        with pytest.raises(Unavailable):
            await world.keys.verify(token)
    assert (await world.keys.verify(FILED.text)).owner == "key:ci"


async def test_uses_of_keys_of_the_table_are_told() -> None:
    world = World()
    await world.keys.verify(FILED.text)
    await world.refusal(new_key().text)
    await world.keys.verify(KEY.text)
    assert world.uses == [(KEY.id, NOW)]


@pytest.mark.parametrize(
    ("token", "expected"),
    [(KEY.text, True), ("asya_x", True), ("eyJ.e30.x", False), ("", False)],
    ids=["key", "mistyped", "token", "empty"],
)
def test_only_text_with_the_prefix_is_claimed(token: str, expected: bool) -> None:
    assert World().keys.claims(token) is expected
