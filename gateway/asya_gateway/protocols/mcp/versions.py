"""The revisions of MCP that are served, and their features.

Revisions are dates, so they can be compared as text: `revision >= Revision.JUNE_2025` means "since".
"""

from enum import StrEnum

PREFIX = "io.modelcontextprotocol/"
"""Prefix of the specification's keys in `_meta`."""


class Revision(StrEnum):
    """A protocol version by its wire name."""

    NOVEMBER_2024 = "2024-11-05"
    MARCH_2025 = "2025-03-26"
    JUNE_2025 = "2025-06-18"
    NOVEMBER_2025 = "2025-11-25"
    JULY_2026 = "2026-07-28"

    @property
    def stateless(self) -> bool:
        """Whether every request describes itself in `_meta`, without a handshake (2026-07-28, "Statelessness")."""
        return self >= Revision.JULY_2026

    @property
    def batches(self) -> bool:
        """Whether arrays of messages must be accepted (only 2025-03-26; 2025-06-18 removed them)."""
        return self is Revision.MARCH_2025

    @property
    def structured(self) -> bool:
        """Whether tools have titles and output schemas, and results have structuredContent."""
        return self >= Revision.JUNE_2025

    @property
    def icons(self) -> bool:
        """Whether tools, prompts and resources have icons."""
        return self >= Revision.NOVEMBER_2025

    @property
    def any_structured(self) -> bool:
        """Whether structuredContent may be any JSON value; before, it had to be an object."""
        return self.stateless

    @property
    def experimental_tasks(self) -> bool:
        """Whether a call may be augmented with a task (only 2025-11-25; later ones have an extension)."""
        return self is Revision.NOVEMBER_2025

    @property
    def content_types(self) -> frozenset[str]:
        """Types of content blocks that a tool's result may contain."""
        base = frozenset({"text", "image", "resource"})
        if self >= Revision.MARCH_2025:
            base |= {"audio"}
        return base | {"resource_link"} if self.structured else base

    @property
    def annotations(self) -> bool:
        """Whether tools have annotations."""
        return self >= Revision.MARCH_2025

    @property
    def completions(self) -> bool:
        """Whether there is the capability `completions`."""
        return self >= Revision.MARCH_2025

    @property
    def resumable(self) -> bool:
        """Whether events of streams may have ids, by which a client comes back."""
        return self >= Revision.MARCH_2025


STATELESS = tuple(revision for revision in Revision if revision.stateless)
HANDSHAKE = tuple(revision for revision in Revision if not revision.stateless)
LATEST_HANDSHAKE = HANDSHAKE[-1]
KNOWN_HANDSHAKE = frozenset[str](HANDSHAKE)
WITHOUT_HEADER = Revision.MARCH_2025
"""The revision of a request after a handshake without a header, and without a session that knows better (2025-11-25,
transports, "Protocol Version Header")."""


def negotiate(requested: str) -> Revision:
    """The version of a handshake: the client's own if it is served, else the latest with a handshake (2025-11-25,
    "Version Negotiation")."""
    return handshake_named(requested) or LATEST_HANDSHAKE


def handshake_named(name: str) -> Revision | None:
    """The revision with a handshake of this name."""
    return next((revision for revision in HANDSHAKE if revision == name), None)
