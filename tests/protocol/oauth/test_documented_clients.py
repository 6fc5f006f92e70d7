"""The Python programs of docs/how-to/authentication.md log in at a gateway and list its tools."""

import re
import threading
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, start_gateway
from tests.support.oauth import oauth_settings

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "authentication.md").read_text()
WITH_KEY, WITH_OAUTH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def run(program: str, gateway: Gateway) -> None:
    """The program's `main`, in this loop."""
    names: dict[str, Any] = {}
    text = program.replace("https://asya.example.com", gateway.url).removesuffix("asyncio.run(main())\n")
    assert text != program
    exec(text, names)
    await names["main"]()


async def test_the_program_with_oauth_registers_and_follows_the_browser(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    visits: list[threading.Thread] = []

    def visit(url: str) -> bool:
        visits.append(threading.Thread(target=lambda: urllib.request.urlopen(url).close()))
        visits[0].start()
        return True

    monkeypatch.setattr(webbrowser, "open", visit)
    async with start_gateway(database_url, **oauth_settings()) as gateway:
        await run(WITH_OAUTH, gateway)
    [browser] = visits
    browser.join(10)
    assert capsys.readouterr().out.startswith("[")


async def test_the_program_with_a_key_sends_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASYA_TOKEN", "the-only-key-of-all-callers")
    async with start_gateway(database_url, mcp_api_key="the-only-key-of-all-callers") as gateway:
        await run(WITH_KEY, gateway)
    assert capsys.readouterr().out.startswith("[")
