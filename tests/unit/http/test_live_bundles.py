"""Several live events in one request, as our worker sends them."""

from typing import Any

import pytest

from asya_gateway.protocols.mesh.live import decode_flies


def test_a_bundle_is_its_events_in_order_each_with_its_own_name() -> None:
    events = decode_flies("task", {"payloads": [{"token": "a"}, {"message": "b"}, {"token": "c"}]})
    assert [(event.name, event.payload) for event in events] == [
        ("partial", '{"token":"a"}'),
        ("message", '{"message":"b"}'),
        ("partial", '{"token":"c"}'),
    ]


@pytest.mark.parametrize(
    "body", [{"payloads": []}, {"payloads": [1]}, {"payloads": [{}], "more": 1}, {"payload": {"payloads": [{}]}}, {}]
)
def test_whatever_else_is_one_event(body: Any) -> None:
    assert len(decode_flies("task", body)) == 1
