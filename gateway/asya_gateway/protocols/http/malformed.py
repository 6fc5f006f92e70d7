"""Requests that are not HTTP: what their senders are told, and what is logged. aiohttp's own words quote the malformed
line, which may be a header with a credential."""

import logging

from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError, LineTooLong

log = logging.getLogger(__name__)

MALFORMED = "expected a well-formed request of HTTP/1.1"
TOLD: dict[type[Exception], str] = {
    LineTooLong: "the request's target or a header is too long",
    ContentEncodingError: "Content-Encoding: expected gzip or deflate, or none",
}
"""What is said of some kinds of requests; all others are MALFORMED."""


def told_of(error: BaseException | None) -> str:
    """What the sender of such a request is told, without quoting it."""
    return next((told for kind, told in TOLD.items() if isinstance(error, kind)), MALFORMED)


def quiet(record: logging.LogRecord) -> bool:
    """A filter that keeps aiohttp from logging a traceback for every malformed request. Its sender got 400."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        # Its text quotes the line as well.
        log.debug("malformed request: %s", type(record.exc_info[1]).__name__)
        return False
    return True
