"""Events on the wire."""

from asya_gateway.protocols.http.sse import event_bytes


def test_an_event_has_name_id_and_data() -> None:
    assert event_bytes("{}", event="update", id=7) == b"event: update\nid: 7\ndata: {}\n\n"


def test_line_breaks_in_data_become_lines_of_data() -> None:
    """HTML standard, "Server-sent events", 9.2.6: lines end with CR, LF or CRLF; data lines are joined with LF."""
    assert event_bytes('{"a":\r\n1}\r') == b'data: {"a":\ndata: 1}\ndata: \n\n'
