"""What `asya dev` says at its start."""

import io
import logging
import re

import pytest

from asya_cli.dev.introducing import closed_lines, connection_lines
from asya_cli.dev.session import _handler
from asya_cli.options import gateway_of
from asya_cli.terminal import ReadableConsole

TOOLS = [{"name": "echo", "inputSchema": {"type": "object"}}]
ELSEWHERE = "http://127.0.0.1:9000"


@pytest.mark.parametrize("closed", [False, True])
def test_at_another_port_the_commands_begin_with_the_address_and_do_not_repeat_it(closed: bool) -> None:
    def lines(url: str) -> list[str]:
        if closed:
            return closed_lines(url, TOOLS, "postgresql://x", skills=True, logins=True)
        return connection_lines(url, TOOLS, skills=True)

    first, *rest = lines(ELSEWHERE)
    assert first == f"commands         export ASYA_URL={ELSEWHERE}"
    assert "command line     asya tool call echo" in rest
    assert not any("--url" in line or "ASYA_URL" in line for line in rest)
    assert f"agent card       {ELSEWHERE}/.well-known/agent-card.json" in rest
    assert "ASYA_URL" not in "\n".join(lines("http://127.0.0.1:8080"))


@pytest.mark.parametrize("closed", [False, True])
def test_every_url_that_is_printed_names_the_gateway_to_commands(closed: bool) -> None:
    if closed:
        lines = closed_lines(ELSEWHERE, TOOLS, "postgresql://x", skills=True, logins=True)
    else:
        lines = connection_lines(ELSEWHERE, TOOLS, skills=True)
    urls = re.findall(rf"{ELSEWHERE}[^\s\"']*", "\n".join(lines))
    assert {url.removeprefix(ELSEWHERE) for url in urls} == {"", "/mcp", "/tools/call", "/.well-known/agent-card.json"}
    assert {gateway_of(url) for url in urls} == {ELSEWHERE}


def test_without_skills_no_card_is_named() -> None:
    assert "agent card" not in "\n".join(connection_lines(ELSEWHERE, TOOLS, skills=False))


def test_a_warning_in_a_file_is_one_line_without_padding() -> None:
    file = io.StringIO()
    handler, form = _handler(ReadableConsole(file=file))
    handler.setFormatter(logging.Formatter(form))
    handler.handle(logging.LogRecord("x", logging.WARNING, "", 0, "careful \x1b %s", ("now",), None))
    assert file.getvalue() == "WARNING  careful \\x1b now\n"
