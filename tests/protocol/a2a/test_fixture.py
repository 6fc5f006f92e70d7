"""The fixture does what a message asks for, by its text and by its id."""

from typing import Any

import pytest

from tests.protocol.a2a.fixture import handlers


def payload(text: str = "", message_id: str = "m-1", **more: Any) -> dict[str, Any]:
    return {"query": text, "a2a": {"task": {"id": "t", "history": [{"messageId": message_id}]}}, **more}


async def frames(asked: dict[str, Any]) -> list[Any]:
    return [frame async for frame in handlers.behave(asked)]


@pytest.mark.parametrize("word", sorted(handlers.WORDS))
def test_the_first_word_of_the_text_chooses_or_the_id_up_to_a_hyphen(word: str) -> None:
    assert handlers.chosen(payload(f"{word} please")) is handlers.WORDS[word]
    assert handlers.chosen(payload("anything", f"{word}-7")) is handlers.WORDS[word]


@pytest.mark.parametrize("prefix", sorted(handlers.PREFIXES))
def test_a_kits_prefix_wins_over_the_text_and_the_longest_one_over_others(prefix: str) -> None:
    assert handlers.chosen(payload("fail", f"{prefix}-1234")) is handlers.PREFIXES[prefix]


async def test_a_question_asks_again_if_the_answer_says_so() -> None:
    [header, route, asked] = await frames(payload("ask"))
    assert header[1] == ".headers.x-asya-pause"
    assert route == ("SET", ".route.next", ["behave"])
    assert await frames({**asked, "answer": "Ann"}) == ["Hello, Ann!"]
    assert (await frames({**asked, "answer": "TCK history message 1"}))[0] == header


async def test_an_authorization_ends_without_an_answer() -> None:
    [header, _, asked] = await frames(payload("authorize"))
    assert header[2]["status"] == "auth_required"
    assert await frames(asked) == ["Signed in"]
