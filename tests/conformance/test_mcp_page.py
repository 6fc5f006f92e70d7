"""The steps of docs/how-to/mcp.md that need a client of others, as a reader copies them."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conformance.served import Served
from tests.conformance.tools import Node

pytestmark = pytest.mark.timeout(400)

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "mcp.md").read_text()


async def test_the_bridge_says_that_it_reaches_the_gateway(served: Served, node: Node, tmp_path: Path) -> None:
    """The package is the one that npx would fetch."""
    [line] = re.findall(r"^ *npx -y -p mcp-remote@[0-9.]+ mcp-remote-client (.*)$", PAGE, re.MULTILINE)
    options = shlex.split(line.replace("http://127.0.0.1:8080/mcp", served.both))
    done = await node.run("node_modules/mcp-remote/dist/client.js", *options, HOME=str(tmp_path))
    assert done.status == 0, done.stderr
    assert "Connected successfully!" in done.stdout + done.stderr
