"""Ids of events and sessions: whatever a client sends, what is read is what was written, or nothing."""

import re

from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.sessions.session import SessionId
from asya_gateway.protocols.mcp.sessions.event_ids import (
    Place,
    Standing,
    read_event_id,
    read_standing_id,
    request_hash,
)

numbers = st.integers(min_value=0, max_value=2**63 - 1)
ids = st.one_of(st.integers(min_value=-(2**63), max_value=2**63 - 1), st.text(max_size=255))


@given(id=ids, seq=numbers, number=numbers, progress=st.one_of(st.none(), st.floats(0, 100)))
def test_an_event_id_is_read_as_it_was_written(id: int | str, seq: int, number: int, progress: float | None) -> None:
    text = Place(seq, number, progress).event_id(request_hash(id))
    assert re.fullmatch(r"[\x21-\x7e]{1,128}", text)
    found = read_event_id(text)
    assert found is not None
    request, place = found
    assert (request, place.seq, place.number) == (request_hash(id), seq, number)
    assert (place.progress is None) is (progress is None)
    if progress is not None and place.progress is not None:
        assert abs(place.progress - progress) < 1e-9


@given(generation=numbers, sent=numbers)
def test_an_id_of_a_standalone_stream_is_read_as_it_was_written(generation: int, sent: int) -> None:
    written = Standing(generation, sent)
    assert read_standing_id(written.event_id) == written
    assert read_event_id(written.event_id) is None


@given(text=st.text(max_size=200))
def test_anything_else_is_no_event_id(text: str) -> None:
    found, standing = read_event_id(text), read_standing_id(text)
    if found is not None:
        assert found[1].event_id(found[0]).split("-")[0] == text.split("-")[0]
    if standing is not None:
        assert text.startswith("get-")


def test_a_number_and_its_text_are_two_requests() -> None:
    assert request_hash(1) != request_hash("1")


def test_session_ids_are_long_visible_and_never_the_same() -> None:
    made = {SessionId.new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[\x21-\x7e]{32}", each) for each in made)


@given(text=st.text(max_size=100))
def test_any_text_has_a_key(text: str) -> None:
    assert len(SessionId(text).key) == 32
