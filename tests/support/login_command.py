"""A browser for `asya login` in tests."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import aiohttp


@dataclass
class Browser:
    """Follows the redirect of an authorization request, as a browser does. `change` makes another URL of the
    redirect."""

    before: tuple[dict[str, str], ...] = ()
    """Redirects of others that reach the listener first; their parameters."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Parameters of the redirect that somebody changed on the way."""
    visited: list[str] = field(default_factory=list)
    pages: list[tuple[int, str]] = field(default_factory=list)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def show(self, url: str) -> None:
        """Implements Show."""
        self.visited.append(url)
        self._tasks.append(asyncio.create_task(self._visit(url)))

    def asked(self, number: int = -1) -> dict[str, str]:
        """The parameters of an authorization request."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.visited[number]).query).items()}

    async def _visit(self, url: str) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(url, allow_redirects=False) as response:
                assert response.status == 302, await response.text()
                parts = urlsplit(response.headers["Location"])
            listener = f"{parts.scheme}://{parts.netloc}{parts.path}"
            real = {name: values[0] for name, values in parse_qs(parts.query).items()} | self.replaced
            for parameters in (*self.before, {name: value for name, value in real.items() if value}):
                async with session.get(listener, params=parameters) as response:
                    self.pages.append((response.status, await response.text()))
