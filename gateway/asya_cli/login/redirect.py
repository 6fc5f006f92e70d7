"""Waits on this machine for the redirect that ends a login in the browser (RFC 8252, section 7.3)."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from html import escape

from aiohttp import web

from asya_cli.errors import CliError

PATH = "/callback"
WITHIN = 300.0
"""Seconds that a person has in the browser."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Redirect:
    """One expected redirect. `uri` is where it must lead."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._parameters: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self.uri = ""

    async def parameters(self) -> Mapping[str, str]:
        """Those of the redirect. Raises CliError if none came in time."""
        try:
            async with asyncio.timeout(WITHIN):
                return await self._parameters
        except TimeoutError:
            raise CliError(f"nobody logged in within {WITHIN / 60:g} minutes; the login was given up") from None

    async def handle(self, request: web.Request) -> web.Response:
        """The page that the browser shows at the end."""
        given = request.query.get("state", "")
        # Any page can send the browser here. Without the state it is not our redirect, and the wait goes on.
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._state.encode()):
            return _page("This is not the answer to a login of this command.", status=400)
        if len(request.query) != len(set(request.query)):
            return _page("A parameter is repeated.", status=400)
        if not self._parameters.done():
            self._parameters.set_result(dict(request.query))
        if "error" in request.query:
            return _page("The login failed. The command line says why.")
        return _page("You can close this page and go back to the command line.")


@contextlib.asynccontextmanager
async def redirect_to_here(state: str, port: int = 0) -> AsyncGenerator[Redirect]:
    """Listens on 127.0.0.1 while the block runs; port 0 takes a free one. Raises CliError."""
    redirect = Redirect(state)
    app = web.Application(client_max_size=0)
    app.router.add_get(PATH, redirect.handle, allow_head=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise CliError(f"--port {port}: {error.strerror}") from error
        redirect.uri = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield redirect
    finally:
        await runner.cleanup()


def _page(text: str, status: int = 200) -> web.Response:
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>asya</title><p>{escape(text)}</p></html>"
    return web.Response(text=body, status=status, content_type="text/html", headers=HEADERS)
