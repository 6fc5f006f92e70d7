"""The revisions of MCP that are served, and their features.

Revisions are dates, so they can be compared as text: `revision >= Revision.JUNE_2025` means "since".
"""

from enum import StrEnum

PREFIX = "io.modelcontextprotocol/"
"""Prefix of the specification's keys in `_meta`."""


class Revision(StrEnum):
    """A protocol version by its wire name."""

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
    def any_structured(self) -> bool:
        """Whether structuredContent may be any JSON value; before, it had to be an object."""
        return self.stateless

    @property
    def content_types(self) -> frozenset[str]:
        """Types of content blocks that a tool's result may contain."""
        base = frozenset({"text", "image", "audio", "resource"})
        return base | {"resource_link"} if self.structured else base


STATELESS = tuple(revision for revision in Revision if revision.stateless)
HANDSHAKE = tuple(revision for revision in Revision if not revision.stateless)
LATEST_HANDSHAKE = HANDSHAKE[-1]
KNOWN_HANDSHAKE = frozenset({"2024-11-05", *HANDSHAKE})
"""Versions with a handshake. The oldest one has another transport and is not served, but its name still shows which era
a client belongs to."""


def negotiate(requested: str) -> Revision:
    """The version of a handshake: the client's own if it is served, else the latest with a handshake (2025-11-25,
    "Version Negotiation")."""
    return next((revision for revision in HANDSHAKE if revision == requested), LATEST_HANDSHAKE)
