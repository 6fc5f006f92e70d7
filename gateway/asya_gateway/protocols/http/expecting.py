"""`Expect: 100-continue` (RFC 9110, section 10.1.1): the body is asked for once its sender is admitted and there is
room for it. aiohttp asks for it before anybody has looked at the request."""

from aiohttp import HttpVersion11, web

EXPECT = "Expect"
CONTINUE = "100-continue"


async def not_yet(request: web.Request) -> None:
    """Takes the place of aiohttp's own handler. Raises HTTPExpectationFailed for any other expectation."""
    if request.headers[EXPECT].lower() != CONTINUE:
        raise web.HTTPExpectationFailed


async def ask_for_body(request: web.Request) -> None:
    """Tell a client that waits for it to send its body."""
    if EXPECT in request.headers and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The response itself has not begun.
        request.writer.output_size = 0
