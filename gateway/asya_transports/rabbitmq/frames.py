"""The frames of one published message, as bytes (AMQP 0-9-1, sections 2.3 and 4.2).

Written here rather than with pamqp, because publishing is the hot path: repeated parts are built once, the rest is a
few `struct.pack` calls. tests/unit/test_rabbitmq_frames.py compares the result with pamqp's.
"""

from struct import Struct
from typing import NamedTuple

from pamqp import encode
from pamqp.common import FieldTable

from asya_transports.rabbitmq.headers import OURS

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = b"\xce"
FRAME_HEAD = Struct(">BHI")
OVERHEAD = FRAME_HEAD.size + 1
HEARTBEAT_FRAME = FRAME_HEAD.pack(HEARTBEAT, 0, 0) + FRAME_END

METHOD_ID = Struct(">HH")
ACK, NACK = (60, 80), (60, 120)
CONFIRM = Struct(">QB")
"""The arguments of basic.ack and basic.nack: delivery tag, bits (the first is `multiple`)."""

_PUBLISH = Struct(">HHH").pack(60, 40, 0)
_MANDATORY = b"\x01"
_CONTENT_HEAD = Struct(">BHIHHQH")
"""A frame's head and the beginning of its properties: class, weight, size of the body, flags (section 4.2.6.1)."""
_CONTENT_FIXED = _CONTENT_HEAD.size - FRAME_HEAD.size
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _CORRELATION_ID, _MESSAGE_ID = 1 << 15, 1 << 13, 1 << 12, 1 << 10, 1 << 7
_JSON = b"\x10application/json"
_PERSISTENT = b"\x02"


class Publication(NamedTuple):
    """One message to publish. `exchange` and `routing_key` have at most 255 bytes of UTF-8."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str = ""
    headers: FieldTable | None = None

    def with_our_headers(self) -> "Publication":
        """The same without headers of others."""
        return self._replace(headers={name: value for name, value in (self.headers or {}).items() if name in OURS})


def short_string(text: str) -> bytes:
    """A length byte and the text; raises ValueError above 255 bytes."""
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"{text[:40]!r}… has more than 255 bytes")
    return bytes((len(data),)) + data


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """A frame of this type on this channel: its head, the payload and the end mark."""
    return FRAME_HEAD.pack(kind, channel, len(payload)) + payload + FRAME_END


def publish_method(channel: int, exchange: str, routing_key: str) -> bytes:
    """The frame of basic.publish with `mandatory`, which is the same for every message of a queue."""
    return frame(METHOD, channel, _PUBLISH + short_string(exchange) + short_string(routing_key) + _MANDATORY)


def content_header(channel: int, tag: int, publication: Publication) -> bytes:
    """The frame of the properties: JSON, persistent, and the delivery tag as correlation id, which identifies a
    returned message (basic.return has no tag)."""
    flags = _CONTENT_TYPE | _DELIVERY_MODE | _CORRELATION_ID
    headers = b""
    if publication.headers:
        flags |= _HEADERS
        headers = encode.field_table(publication.headers)
    correlation_id = b"%d" % tag
    identifiers = b"%c%b" % (len(correlation_id), correlation_id)
    message_id = publication.message_id.encode()
    if 0 < len(message_id) < 256:
        flags |= _MESSAGE_ID
        identifiers = b"%b%c%b" % (identifiers, len(message_id), message_id)
    size = _CONTENT_FIXED + len(_JSON) + len(headers) + len(_PERSISTENT) + len(identifiers)
    head = _CONTENT_HEAD.pack(HEADER, channel, size, 60, 0, len(publication.body), flags)
    return b"".join((head, _JSON, headers, _PERSISTENT, identifiers, FRAME_END))


def body_frames(channel: int, body: bytes, frame_max: int) -> list[bytes]:
    """The body in as many frames as the negotiated size requires, as pieces to join."""
    room = frame_max - OVERHEAD
    if len(body) <= room:
        return [FRAME_HEAD.pack(BODY, channel, len(body)), body, FRAME_END] if body else []
    pieces: list[bytes] = []
    for start in range(0, len(body), room):
        piece = body[start : start + room]
        pieces += [FRAME_HEAD.pack(BODY, channel, len(piece)), piece, FRAME_END]
    return pieces
