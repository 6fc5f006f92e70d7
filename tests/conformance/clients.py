"""The clients of others, and what each of them can do; docs/how-to/mcp.md shows the same as a table."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.conformance import tools
from tests.conformance.tools import Node

HERE = Path(__file__).parent
NEWEST, HANDSHAKE = "2026-07-28", "2025-11-25"
HTTP, SSE = ("--transport", "http-only"), ("--transport", "sse-only")
BRIDGE = "node_modules/mcp-remote/dist/proxy.js"


class Can(enum.StrEnum):
    """What a client may be able to do. A new connection is part of RECONNECT."""

    LIST = "list"
    CALL = "call"
    PROGRESS = "progress"
    QUIET = "quiet"
    """A call that says nothing outlives the client's patience with it, or with the connection."""
    RESETS = "resets"
    """Progress starts the timer of a call again, if its caller wants that; QUIET proves it with this timer."""
    CANCEL = "cancel"
    ELICITATION = "elicitation"
    ERROR = "error"
    RECONNECT = "reconnect"
    RESUMES = "resumes"
    """It takes up a broken stream itself; part of RECONNECT."""
    PROMPTS = "prompts"
    RESOURCES = "resources"
    TASKS = "tasks"


BASIC = frozenset({Can.LIST, Can.CALL, Can.ERROR, Can.RECONNECT})
COMMON = BASIC | {Can.PROGRESS, Can.QUIET, Can.CANCEL, Can.ELICITATION, Can.PROMPTS, Can.RESOURCES}
"""Of every SDK."""


@dataclass(frozen=True, slots=True)
class Package:
    """What is installed, and a program that lives with it. `command` gives that without the argument."""

    name: str
    version: str
    command: Callable[[Node], list[str]]


@dataclass(frozen=True, slots=True)
class Client:
    """One package in one of its modes."""

    name: str
    package: Package
    mode: str
    can: frozenset[Can]
    revision: str = HANDSHAKE
    loses: bool = False
    """A broken stream is not told to the caller, whose timer ends the call. With HTTP+SSE the client has connected
    again by itself, to a session that knows nothing of the call."""
    bridge: tuple[str, ...] = ()
    """The options of mcp-remote, if it stands before the client."""

    @property
    def sse(self) -> bool:
        """Whether it speaks HTTP+SSE."""
        return self.mode == "sse" or "sse-only" in self.bridge

    def addresses(self, node: Node, folder: Path, **urls: str) -> dict[str, Any]:
        """Where it connects to, each for an option of the program: endpoints, or commands of a bridge to them."""
        urls = {name: f"{url}/sse" if self.sse else url for name, url in urls.items()}
        if not self.bridge:
            return dict(urls)
        script = node.script(BRIDGE)
        commands = {name: [*script, url, *self.bridge] for name, url in urls.items()}
        return {**commands, "env": {"HOME": str(folder), "MCP_REMOTE_CONFIG_DIR": str(folder)}}


def _script(name: str) -> Callable[[Node], list[str]]:
    return lambda node: node.script(name)


def _python(interpreter: Callable[[], str], name: str) -> Callable[[Node], list[str]]:
    return lambda _: [interpreter(), str(HERE / "python" / name)]


MCP2 = Package("mcp", "2.3.0", _python(lambda: tools.mcp(2), "mcp_v2_client.py"))
MCP1 = Package("mcp", "1.30.0", _python(lambda: tools.mcp(1), "mcp_v1_client.py"))
FASTMCP = Package("fastmcp", "4.1.4", _python(tools.fastmcp, "fastmcp_client.py"))
FASTMCP_TASKS = Package("fastmcp-tasks", "4.1.4", FASTMCP.command)
SDK2 = Package("@modelcontextprotocol/client", "2.4.0", _script("mcp_v2_client.mjs"))
SDK1 = Package("@modelcontextprotocol/sdk", "1.32.2", _script("mcp_v1_client.mjs"))
EXT_TASKS = Package("@modelcontextprotocol/ext-tasks", "0.2.2", _script("ext_tasks_client.mjs"))
REMOTE = Package("mcp-remote", "0.15.1", MCP1.command)
REMOTE_AUTO = replace(REMOTE, command=MCP2.command)
"""In the newest revision there are no tasks of 2025-11-25, which the first generation would ask for."""
RESETS, RESUMES, TASKS = frozenset({Can.RESETS}), frozenset({Can.RESUMES}), frozenset({Can.TASKS})
POLLS = BASIC | TASKS | {Can.QUIET, Can.CANCEL, Can.ELICITATION}

CLIENTS = [
    Client("python-2-auto", MCP2, "auto", COMMON, NEWEST),
    Client("python-2-legacy", MCP2, "legacy", COMMON | RESUMES),
    Client("python-2-sse", MCP2, "sse", COMMON),
    Client("python-1-http", MCP1, "http", COMMON | RESUMES | TASKS),
    Client("python-1-sse", MCP1, "sse", COMMON | TASKS),
    Client("fastmcp-auto", FASTMCP, "auto", COMMON, NEWEST),
    Client("fastmcp-sse", FASTMCP, "sse", COMMON),
    Client("fastmcp-tasks", FASTMCP_TASKS, "tasks", POLLS | {Can.PROMPTS, Can.RESOURCES}, NEWEST),
    Client("typescript-2-auto", SDK2, "auto", COMMON | RESETS, NEWEST, loses=True),
    Client("typescript-2-legacy", SDK2, "legacy", COMMON | RESETS | RESUMES),
    Client("typescript-2-sse", SDK2, "sse", COMMON | RESETS, loses=True),
    Client("typescript-1-http", SDK1, "http", COMMON | RESETS | RESUMES | TASKS),
    Client("typescript-1-sse", SDK1, "sse", COMMON | RESETS | TASKS, loses=True),
    Client("ext-tasks-v1", EXT_TASKS, "v1", POLLS),
    Client("ext-tasks-v2", EXT_TASKS, "v2", POLLS, NEWEST),
    Client("mcp-remote-http", REMOTE, "stdio", COMMON | RESUMES | TASKS, bridge=HTTP),
    Client("mcp-remote-auto", REMOTE_AUTO, "stdio", COMMON, bridge=(*HTTP, "--protocol", "auto"), loses=True),
    Client("mcp-remote-sse", REMOTE, "stdio", COMMON | TASKS, bridge=SSE, loses=True),
]
