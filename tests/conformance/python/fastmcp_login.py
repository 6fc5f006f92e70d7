"""The client of fastmcp with its own provider, callback server and storage; only the browser is ours.

The argument is JSON: url, and, as a test needs them, metadata_url, client_id, scopes, calls. The last line is JSON.
"""

import asyncio
import http.client
import json
import sys
import threading
import urllib.error
import urllib.request
import webbrowser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastmcp import Client  # type: ignore[import-not-found]
from fastmcp.client.auth import OAuth  # type: ignore[import-not-found]
from key_value.aio.stores.memory import MemoryStore  # type: ignore[import-not-found]
from typing_extensions import override

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
PAUSE = threading.Event()
"""Never set: the pause between two attempts."""
VISITS: list[str] = []


class Browser(webbrowser.BaseBrowser):
    """Follows redirects, without a person. The callback server starts after the browser, so it is asked until it
    answers."""

    @override
    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        VISITS.append(parse_qs(urlsplit(url).query)["scope"][0])
        threading.Thread(target=self._visit, args=(url,)).start()
        return True

    def _visit(self, url: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request("GET", f"{parts.path}?{parts.query}")
        target = connection.getresponse().headers["Location"]
        for _ in range(3000):
            try:
                urllib.request.urlopen(target).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                # The client does not listen yet.
                PAUSE.wait(0.02)


async def main() -> None:
    webbrowser.register("ours", None, Browser(), preferred=True)
    oauth = OAuth(
        scopes=OPTIONS.get("scopes"),
        token_storage=MemoryStore(),
        client_metadata_url=OPTIONS.get("metadata_url"),
        client_id=OPTIONS.get("client_id"),
        callback_port=OPTIONS.get("callback_port"),
    )
    async with Client(f"{OPTIONS['url']}/mcp", auth=oauth) as client:
        tools = sorted(tool.name for tool in await client.list_tools())
        results = [(await client.call_tool(name, {"n": 1})).content[0].text for name in OPTIONS["calls"]]
        before = oauth.context.current_tokens
        oauth.context.token_expiry_time = 1.0
        results.append((await client.call_tool(OPTIONS["calls"][0], {"n": 2})).content[0].text)
        after = oauth.context.current_tokens
    found = {
        "tools": tools,
        "results": results,
        "visits": VISITS,
        "renewed": before.access_token != after.access_token and before.refresh_token != after.refresh_token,
        "client": oauth.context.client_info.client_id,
        "scopes": after.scope,
    }
    print(json.dumps(found))


asyncio.run(main())
