"""Reads the body of an answer and counts its bytes, compressed and decompressed."""

import asyncio
import zlib

from aiohttp import ClientError, ClientResponse

from asya_gateway.outbound.errors import AnswerRefused

DISCARD_SECONDS = 1.0
_GZIP_OR_ZLIB = 47
"""zlib's window bits for either header."""


async def read_body(response: ClientResponse, limit: int) -> bytes:
    """The decompressed body. Raises AnswerRefused beyond the limit, as soon as it is known.

    Requests ask for no compression, but servers may compress all the same. At most `limit` bytes are decompressed,
    however many a few compressed bytes stand for.
    """
    if (response.content_length or 0) > limit:
        raise _too_long(limit)
    inflating = _Inflating(limit) if _is_compressed(response) else None
    body, received = bytearray(), 0
    async for chunk in response.content.iter_any():
        received += len(chunk)
        body += chunk if inflating is None else inflating.feed(chunk, len(body))
        if max(received, len(body)) > limit:
            raise _too_long(limit)
    if inflating is not None:
        inflating.check_end()
    return bytes(body)


async def discard_body(response: ClientResponse, limit: int) -> None:
    """Read a body that nobody wants, so that the connection can be used again. One that is long, slow or broken ends
    the connection instead."""
    received = 0
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            async for chunk in response.content.iter_any():
                received += len(chunk)
                if received > limit:
                    break
    except (ClientError, OSError, TimeoutError):
        received = limit + 1
    if received > limit:
        response.close()


class _Inflating:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._decoder = zlib.decompressobj(_GZIP_OR_ZLIB)

    def feed(self, chunk: bytes, before: int) -> bytes:
        """At most one byte more than the limit, which the caller then refuses."""
        try:
            piece = self._decoder.decompress(chunk, self._limit - before + 1)
        except zlib.error:
            raise AnswerRefused("its body is not compressed as its Content-Encoding says") from None
        if self._decoder.unused_data:
            raise AnswerRefused("its body continues after the end of the compressed data")
        return piece

    def check_end(self) -> None:
        if not self._decoder.eof:
            raise AnswerRefused("its compressed body is cut off")


def _is_compressed(response: ClientResponse) -> bool:
    encodings = ",".join(response.headers.getall("Content-Encoding", [])).strip().lower()
    if encodings not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise AnswerRefused("its Content-Encoding is not supported; expected none, gzip or deflate")
    return encodings not in ("", "identity")


def _too_long(limit: int) -> AnswerRefused:
    return AnswerRefused(f"expected at most {limit} bytes")
