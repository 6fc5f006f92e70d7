"""Several live events in one request, as our worker sends them."""

from typing import Any

import pytest

from asya_gateway.protocols.mesh.live import pieces


def test_a_bundle_is_its_events_in_order_each_with_its_own_name() -> None:
    assert pieces({"payloads": [{"token": "a"}, {"message": "b"}, {"token": "c"}]}) == [
        ("partial", '{"token":"a"}'),
        ("message", '{"message":"b"}'),
        ("partial", '{"token":"c"}'),
    ]


@pytest.mark.parametrize(
    "body", [{"payloads": []}, {"payloads": [1]}, {"payloads": [{}], "more": 1}, {"payload": {"payloads": [{}]}}, {}]
)
def test_whatever_else_is_one_event(body: Any) -> None:
    assert len(pieces(body)) == 1
