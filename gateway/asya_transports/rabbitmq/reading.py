"""What the driver reads from the broker: a message whose properties it cannot decode arrives without them.

Whoever may publish chooses a message's properties, and brokers check little of them: names that are no UTF-8, times
beyond the year 9999, tables that are nested a thousand times. The driver gives up its connection over one of them, with
all its consumers. The broker delivers the message again, and this repeats for as long as the message exists.
"""

import asyncio
import logging
from typing import Any, cast

import pamqp.frame
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from typing_extensions import override

from asya_transports.rabbitmq import frames

logger = logging.getLogger(__name__)

LARGEST_PROPERTIES = 64 * 1024
"""Bytes of properties that are decoded: the time that the decoder takes grows with their square."""
_BEFORE_FLAGS = 12
"""Bytes of a content header before its properties: class, weight, size of the body."""
_NO_PROPERTIES = b"\x00\x00"


class FrameReader:
    """What the driver uses of an asyncio.StreamReader."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._checked = b""
        self._in_frame = False

    def at_eof(self) -> bool:
        """Whether nothing more comes."""
        return not self._checked and self._reader.at_eof()

    async def read(self, count: int = -1) -> bytes:
        """Like StreamReader.read; the driver uses it to read the rest after an invalid frame."""
        return await self._reader.read(count)

    async def readexactly(self, count: int) -> bytes:
        """The next bytes. The driver asks for a frame's head and then for its content."""
        if self._in_frame and not self._checked:
            self._in_frame = False
            return await self._reader.readexactly(count)
        if not self._checked:
            self._checked = await self._next()
        part, self._checked = self._checked[:count], self._checked[count:]
        return part

    async def _next(self) -> bytes:
        """A whole content header, or the head alone of another frame."""
        head = await self._reader.readexactly(frames.FRAME_HEAD.size)
        kind, channel, size = frames.FRAME_HEAD.unpack(head)
        if kind != frames.HEADER:
            self._in_frame = True
            return head
        content = await self._reader.readexactly(size + len(frames.FRAME_END))
        frame = head + content
        if _can_be_decoded(frame):
            return frame
        logger.warning("a message's properties cannot be decoded; it is taken without them")
        return frames.frame(frames.HEADER, channel, content[:_BEFORE_FLAGS] + _NO_PROPERTIES)


class TolerantTransport(TransportFactory):
    """Makes one connection for the driver, TCP or TLS by the URL's scheme."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    @override
    async def create(self, url: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self._writer = await factory.create(url, **options)
        return cast("asyncio.StreamReader", FrameReader(reader)), self._writer

    def abort(self) -> None:
        """Close the connection at once, if there is one. The driver leaves it open if closing it in order fails."""
        if self._writer is not None:
            self._writer.transport.abort()


def _can_be_decoded(frame: bytes) -> bool:
    if len(frame) > LARGEST_PROPERTIES:
        return False
    try:
        pamqp.frame.unmarshal(frame)
    except Exception:  # noqa: BLE001 - among them RecursionError and OverflowError
        return False
    return True
