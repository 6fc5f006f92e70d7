"""What identity services say of a person, and what happens if they fail."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.profiles import Profile
from asya_gateway.identity.services.custom import CannotLoad, Custom, load_service
from asya_gateway.identity.services.local_file import LocalFile, read_users
from asya_gateway.identity.services.remembering import REMEMBERED_FOR, Remembering
from asya_gateway.mounted.watching import InvalidFile

USERS = {
    "users": [
        {"id": "user123", "name": "Ann", "email": "Ann@acme.example.com", "scopes": ["user", "analyst"]},
        {"id": "user456", "email": "bob@acme.example.com", "roles": ["operator"]},
    ]
}
ANN = Profile(frozenset({"user", "analyst"}), frozenset(), {"name": "Ann", "email": "Ann@acme.example.com"})


def users_file(*users: Mapping[str, Any]) -> bytes:
    return json.dumps({"users": users}).encode()


def test_a_person_is_found_by_the_subject() -> None:
    users = read_users(json.dumps(USERS).encode())
    assert users.find({"sub": "user123"}) == ANN
    assert users.find({"sub": "user456"}) == Profile(
        roles=frozenset({"operator"}), facts={"email": "bob@acme.example.com"}
    )
    assert users.find({"sub": "USER123"}) is None


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"email": "ann@ACME.example.com", "email_verified": True}, True),
        ({"email": "ann@acme.example.com"}, False),
        ({"email": "ann@acme.example.com", "email_verified": False}, False),
        ({"email": "ann@acme.example.com", "email_verified": "true"}, False),
        ({"email": ["ann@acme.example.com"], "email_verified": True}, False),
        ({"email": "eve@acme.example.com", "email_verified": True}, False),
    ],
)
def test_an_address_counts_only_if_the_issuer_has_verified_it(claims: dict[str, Any], found: bool) -> None:
    users = read_users(json.dumps(USERS).encode())
    assert users.find({"sub": "x", **claims}) == (ANN if found else None)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b"", "users: required field is missing"),
        (b"[]", "expected an object"),
        (b'{"users":\n[{"name": "a"}]}', "line 2: users.0.id: required field is missing"),
        (b'{"users":\n[{"id": ""}]}', "line 2: users.0.id: expected 1 to 255 characters"),
        (b'{"users":\n[{"id": 7}]}', "line 2: users.0.id: expected text"),
        (b'{"users":\n[{"id": "a", "scope": []}]}', "line 2: users.0.scope: unknown field (did you mean scopes?)"),
        (b'{"users":\n[{"id": "a", "scopes": ["a b"]}]}', "line 2: users.0.scopes.0: expected a scope"),
        (b'{"users":\n[{"id": "a"},\n{"id": "a"}]}', "line 3: users.1.id: it occurs twice"),
        (
            b'{"users": [{"id": "a", "email": "A@b"},\n{"id": "b", "email": "a@B"}]}',
            "line 2: users.1.email: it occurs twice",
        ),
    ],
)
def test_a_mistake_in_the_file_of_users_is_told_with_its_line(text: bytes, mistake: str) -> None:
    with pytest.raises(InvalidFile) as told:
        read_users(text)
    assert mistake in str(told.value)


async def test_until_the_file_of_users_was_good_nobody_can_be_judged(tmp_path: Path) -> None:
    changes: list[None] = []
    path = tmp_path / "users.json"
    service = LocalFile(str(path), lambda: changes.append(None), poll_interval=600)
    await service.start()
    with pytest.raises(Unavailable):
        await service.profile({"sub": "user123"})
    await service.stop()
    path.write_bytes(json.dumps(USERS).encode())
    await service.start()
    assert (await service.profile({"sub": "user123"}), len(changes)) == (ANN, 1)
    await service.stop()


class Service:
    """As an operator writes it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    async def profile(self, claims: Mapping[str, Any]) -> dict[str, Any] | None:
        if claims["sub"] == "nobody":
            return None
        return {"id": "admin", "scopes": ["reports"], "roles": ["analyst"], "tier": self.config["tier"]}


class Synchronous:
    def __init__(self, config: dict[str, Any]) -> None:
        pass

    def profile(self, claims: Mapping[str, Any]) -> None:
        pass


class Failing:
    def __init__(self, config: dict[str, Any]) -> None:
        raise RuntimeError("no connection")


@pytest.mark.parametrize("module", [f"{__name__}.Service", f"{__name__}:Service"])
async def test_a_class_of_the_operators_is_constructed_with_its_configuration(module: str) -> None:
    service = load_service(module, {"tier": 7})
    assert await service.profile({"sub": "ann"}) == Profile(frozenset({"reports"}), frozenset({"analyst"}), {"tier": 7})
    assert await service.profile({"sub": "nobody"}) is None


async def test_an_entry_point_names_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def load(self) -> type[Service]:
            return Service

    def points(*, group: str, name: str) -> list[Point]:
        return [Point()] if (group, name) == ("asya.identity", "corp") else []

    monkeypatch.setattr("asya_gateway.identity.services.custom.entry_points", points)
    assert await load_service("corp", {"tier": 1}).profile({"sub": "ann"}) is not None
    with pytest.raises(CannotLoad, match=r"asya\.identity"):
        load_service("other", {})


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("no_such_package.Class", "ModuleNotFoundError"),
        (f"{__name__}.Missing", "AttributeError"),
        (f"{__name__}:Missing", "AttributeError"),
        (f"{__name__}.Failing", "no connection"),
        (f"{__name__}.Synchronous", "async def profile"),
        ("json.JSONDecoder", "JSONDecoder"),
    ],
)
def test_a_class_that_cannot_be_used_is_told_at_the_start(module: str, why: str) -> None:
    with pytest.raises(CannotLoad, match=why):
        load_service(module, {})


def answering(answer: Any, seconds: float = 2.0) -> Custom:
    async def profile(claims: Mapping[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return await answer.wait() if isinstance(answer, asyncio.Event) else answer

    return Custom("corp", profile, seconds=seconds)


@pytest.mark.parametrize(
    "answer",
    [
        7, "admin", ["scopes"], {7: 1}, {"scopes": "mcp:read"}, {"scopes": ["a b"]}, {"scopes": [7]},
        {"roles": {"a": 1}},
        {"scopes": ["a"] * 300}, {"roles": [""]}, {"tier": object()}, {"tier": float("nan")},
        {"tier": "x" * 20_000}, RuntimeError("secret-in-the-text"), KeyError("x"), TimeoutError(),
    ],
)  # fmt: skip
async def test_an_odd_answer_makes_callers_unavailable_and_is_not_logged(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        await answering(answer).profile({"sub": "ann"})
    assert "identity service corp failed" in caplog.text
    assert "secret-in-the-text" not in caplog.text


async def test_a_service_that_hangs_is_left_in_time() -> None:
    with pytest.raises(Unavailable):
        await answering(asyncio.Event(), seconds=0.02).profile({"sub": "ann"})


class Counted:
    """A service that says how often it was asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.told = asyncio.Event()
        self.told.set()
        self.error: Exception | None = None

    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        self.asked += 1
        asked = self.asked
        await self.told.wait()
        if self.error is not None:
            raise self.error
        return Profile(scopes=frozenset({str(asked)}))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_an_answer_is_remembered_for_a_minute() -> None:
    service, clock = Counted(), Clock()
    remembering = Remembering(service, clock=clock)
    first = await remembering.profile({"sub": "ann", "jti": "1", "exp": 1})
    assert await remembering.profile({"sub": "ann", "jti": "2", "exp": 2}) is first
    assert await remembering.profile({"sub": "ann", "acr": "mfa"}) is not first, "other claims may mean other rights"
    clock.now += REMEMBERED_FOR
    assert await remembering.profile({"sub": "ann"}) is not first
    assert service.asked == 3


async def test_requests_that_come_together_ask_once() -> None:
    service = Counted()
    remembering = Remembering(service)
    service.told.clear()
    asking = [asyncio.create_task(remembering.profile({"sub": "ann"})) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    service.told.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert service.asked == 1
    assert len({id(each) for each in answers[1:]}) == 1


async def test_a_failure_is_not_remembered() -> None:
    service = Counted()
    remembering = Remembering(service)
    service.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await remembering.profile({"sub": "ann"})
    service.error = None
    assert await remembering.profile({"sub": "ann"}) is not None


async def test_what_was_asked_before_everything_was_forgotten_is_not_remembered() -> None:
    service = Counted()
    remembering = Remembering(service)
    service.told.clear()
    before = asyncio.create_task(remembering.profile({"sub": "ann"}))
    await asyncio.sleep(0)
    remembering.forget()
    service.told.set()
    await before
    after = await remembering.profile({"sub": "ann"})
    assert after == Profile(scopes=frozenset({"2"}))
