"""Ids of events and sessions: whatever a client sends, what is read is what was written, or nothing."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.sessions.session import Session, SessionId, SessionTransport
from asya_gateway.protocols.mcp.sessions.event_ids import (
    Place,
    StreamPosition,
    read_event_id,
    read_standing_id,
    request_hash,
)

numbers = st.integers(min_value=0, max_value=2**63 - 1)
OWN = Session(SessionId.new().key, SessionTransport.HTTP, "key:alice", "2025-11-25", {}, None, (), 1, 0)
OTHERS = (replace(OWN, key=SessionId.new().key), replace(OWN, owner="key:bob"))
ids = st.one_of(st.integers(min_value=-(2**63), max_value=2**63 - 1), st.text(max_size=255))


@given(id=ids, seq=numbers, number=numbers, progress=st.one_of(st.none(), st.floats(0, 100)))
def test_an_event_id_is_read_as_it_was_written(id: int | str, seq: int, number: int, progress: float | None) -> None:
    text = Place(seq, number, progress).event_id(OWN, request_hash(id))
    assert re.fullmatch(r"[\x21-\x7e]{1,128}", text)
    found = read_event_id(OWN, text)
    assert found is not None
    request, place = found
    assert (request, place.seq, place.number) == (request_hash(id), seq, number)
    assert (place.progress is None) is (progress is None)
    if progress is not None and place.progress is not None:
        assert abs(place.progress - progress) < 1e-9


@given(generation=numbers, sent=numbers, asked=numbers)
def test_an_id_of_a_standalone_stream_is_read_as_it_was_written(generation: int, sent: int, asked: int) -> None:
    written = StreamPosition(generation, sent, asked)
    text = written.event_id(OWN)
    assert re.fullmatch(r"[\x21-\x7e]{1,128}", text)
    assert read_standing_id(OWN, text) == written
    assert read_event_id(OWN, text) is None


@given(seq=numbers, at=st.integers(0, 200), character=st.sampled_from("0123456789abcdefget-x"))
def test_an_id_of_another_session_or_principal_or_a_changed_one_is_none(seq: int, at: int, character: str) -> None:
    of_call, standing = Place(seq).event_id(OWN, request_hash(1)), StreamPosition(seq, 7).event_id(OWN)
    for other in OTHERS:
        assert read_event_id(other, of_call) is None
        assert read_standing_id(other, standing) is None
    for text in (of_call, standing):
        at %= len(text)
        changed = text[:at] + character + text[at + 1 :]
        if changed != text:
            assert read_event_id(OWN, changed) is None
            assert read_standing_id(OWN, changed) is None


def test_two_events_at_one_place_have_two_ids() -> None:
    assert len({Place(1, 2, 3.0).event_id(OWN, request_hash(1)) for _ in range(1000)}) == 1000
    assert len({StreamPosition(1, 2).event_id(OWN) for _ in range(1000)}) == 1000


@given(text=st.one_of(st.text(max_size=200), st.just("0" * 32 + "-0-0-0"), st.just("get-1-0")))
def test_anything_else_is_no_event_id(text: str) -> None:
    assert read_event_id(OWN, text) is None
    assert read_standing_id(OWN, text) is None


def test_a_number_and_its_text_are_two_requests() -> None:
    assert request_hash(1) != request_hash("1")


def test_session_ids_are_long_visible_and_never_the_same() -> None:
    made = {SessionId.new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[\x21-\x7e]{32}", each) for each in made)


@given(text=st.text(max_size=100))
def test_any_text_has_a_key(text: str) -> None:
    assert len(SessionId(text).key) == 32
