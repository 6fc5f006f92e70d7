"""Opening an event stream to a reader that is gone already."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from asya_gateway.domain.clock import own_time
from asya_gateway.protocols.http.sse import Streams


async def test_a_reader_that_is_gone_before_the_stream_is_open_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler must not be entered without a stream, and must learn that nobody will read."""

    async def gone(*_: Any) -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "prepare", gone)
    streams = Streams(write_timeout=1.0, clock=own_time)
    with pytest.raises(ConnectionResetError):
        async with streams.open(make_mocked_request("GET", "/stream/x")):
            pytest.fail("there is no stream")
    assert len(streams) == 0
