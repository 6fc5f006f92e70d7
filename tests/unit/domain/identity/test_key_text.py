"""The text of a key: what it consists of, and which mistakes its checksum finds."""

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.identity.key_text import DIGITS, PREFIX, hash_of, id_in, looks_like_key, new_key
from tests.support.keys import KEY

POSITIONS = [index for index in range(len(PREFIX), len(KEY.text)) if KEY.text[index] != "_"]


def test_a_key_has_prefix_id_secret_and_checksum() -> None:
    assert re.fullmatch(r"asya_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", KEY.text)
    assert KEY.text.split("_")[1] == KEY.id == id_in(KEY.text)
    assert looks_like_key(KEY.text)


def test_two_keys_share_neither_id_nor_secret() -> None:
    other = new_key()
    assert other.id != KEY.id
    assert other.text.split("_")[2] != KEY.text.split("_")[2]


def test_what_is_stored_is_the_sha256_of_the_whole_text() -> None:
    assert KEY.hash == hash_of(KEY.text) == hashlib.sha256(KEY.text.encode()).digest()


def test_the_text_of_a_key_is_not_in_its_representation() -> None:
    assert KEY.text not in repr(KEY)
    assert KEY.text.split("_")[2] not in repr(KEY)


@given(st.sampled_from(POSITIONS), st.sampled_from(DIGITS))
def test_one_wrong_character_is_noticed(index: int, digit: str) -> None:
    typed = KEY.text[:index] + digit + KEY.text[index + 1 :]
    assert (id_in(typed) is None) == (typed != KEY.text)


@given(st.sampled_from(POSITIONS[:-1]))
def test_two_neighbours_that_changed_places_are_noticed(index: int) -> None:
    typed = KEY.text[:index] + KEY.text[index + 1] + KEY.text[index] + KEY.text[index + 2 :]
    assert (id_in(typed) is None) == (typed != KEY.text)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert id_in(text) is None
    assert id_in(PREFIX + text) is None
    assert id_in(KEY.text + (text or " ")) is None
