"""The envelope is decoded and described by one model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from asya_crds import jsontext
from asya_crds.envelope import Envelope, InvalidEnvelope, Route, format_seconds, format_time
from asya_crds.message import schema_of

DESCRIBED = Draft202012Validator(schema_of(Envelope))
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.0, 2.5, "", "a", ".", "..", "a\n", "x" * 256, [], ["a", ""], ["a", 5], [None], {}, {"a": [1]}]
)
ROUTES = st.dictionaries(st.sampled_from(["prev", "curr", "next", "x"]), JUNK, max_size=4) | JUNK
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("a") | JUNK,
        "route": ROUTES,
        "payload": JUNK,
        "headers": JUNK,
        "status": JUNK,
        "parent_id": JUNK,
        "more": JUNK,
    },
)


@given(document=ENVELOPES | JUNK)
@settings(max_examples=1500)
def test_the_description_takes_what_the_decoder_takes(document: Any) -> None:
    try:
        found = Envelope.from_dict(document)
    except InvalidEnvelope:
        assert not DESCRIBED.is_valid(document)
    else:
        assert DESCRIBED.is_valid(document)
        sent = jsontext.loads(found.to_json())
        assert DESCRIBED.is_valid(sent)
        assert Envelope.from_dict(sent) == found


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "expected an object"),
        ({"route": {}}, "id: required field is missing"),
        ({"id": "a"}, "route: required field is missing"),
        ({"id": "a", "route": []}, "route: expected an object"),
        ({"id": "a", "route": {"next": ["b", 1]}}, "route.next: expected a list of actor names"),
        ({"id": "a", "route": {"curr": 1}}, "route.curr: expected a string"),
        ({"id": "a", "route": {}, "headers": []}, "headers: expected an object"),
        ({"id": "a", "route": {}, "status": "new"}, "status: expected an object"),
        ({"id": "a", "route": {}, "parent_id": "\n"}, "parent_id: expected printable"),
    ],
)
def test_a_mistake_names_its_field_and_what_was_expected(document: Any, reason: str) -> None:
    with pytest.raises(InvalidEnvelope) as raised:
        Envelope.from_dict(document)
    assert str(raised.value).startswith(reason)


def test_a_mistake_of_a_route_alone_names_its_place_in_the_envelope() -> None:
    with pytest.raises(InvalidEnvelope, match=r"^route\.prev: expected a list"):
        Route.from_dict({"prev": 5})


def test_lone_surrogates_and_large_integers_stay_as_they_came() -> None:
    document = {"id": "t", "route": {"prev": ["\ud83d"]}, "payload": {"n": 2**80}, "headers": {"h": "\ud83d"}}
    found = Envelope.from_json(jsontext.dumps(document))
    assert (found.route.prev, found.payload, found.headers) == (("\ud83d",), {"n": 2**80}, {"h": "\ud83d"})


@pytest.mark.parametrize("seconds", [0, 1_790_000_000, 1_790_000_000.25, 1_790_000_000.999999, 4_102_444_799.5])
def test_posix_seconds_are_written_as_a_moment_is(seconds: float) -> None:
    moment = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int((seconds % 1) * 1e6))
    assert format_seconds(seconds) == format_time(moment)
