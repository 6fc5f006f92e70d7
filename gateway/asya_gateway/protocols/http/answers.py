"""Answers that succeed: JSON text as a response."""

from aiohttp import web

from asya_gateway.domain.task import JsonText

NO_STORE = {"Cache-Control": "no-store"}
"""A task changes at any moment and belongs to one caller, so nobody on the way may keep it."""


def json_response(text: JsonText, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response whose body is JSON text already (jsontext.dumps made sure that UTF-8 can carry it)."""
    return web.Response(
        status=status,
        body=text.encode(),
        headers={"Content-Type": "application/json", **NO_STORE, **(headers or {})},
    )
