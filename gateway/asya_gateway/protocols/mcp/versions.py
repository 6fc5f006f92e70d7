"""The revisions of MCP that are served, and what each of them can carry.

Revisions are dates, so they compare as text: `revision >= Revision.JUNE_2025` reads "since".
"""

from enum import StrEnum

PREFIX = "io.modelcontextprotocol/"
"""Of the keys that the specification puts into `_meta`."""


class Revision(StrEnum):
    """A protocol version, under its wire name."""

    MARCH_2025 = "2025-03-26"
    JUNE_2025 = "2025-06-18"
    NOVEMBER_2025 = "2025-11-25"
    JULY_2026 = "2026-07-28"

    @property
    def stateless(self) -> bool:
        """Every request describes itself in `_meta`; there is no handshake (2026-07-28, "Statelessness")."""
        return self >= Revision.JULY_2026

    @property
    def batches(self) -> bool:
        """Arrays of messages must be accepted (2025-03-26 alone; 2025-06-18 removed them)."""
        return self is Revision.MARCH_2025

    @property
    def structured(self) -> bool:
        """Tools have titles and output schemas, results have structuredContent."""
        return self >= Revision.JUNE_2025

    @property
    def any_structured(self) -> bool:
        """structuredContent may be any JSON value, where it had to be an object before."""
        return self.stateless

    @property
    def content_types(self) -> frozenset[str]:
        """Types of content blocks that a tool's result may hold."""
        base = frozenset({"text", "image", "audio", "resource"})
        return base | {"resource_link"} if self.structured else base


STATELESS = tuple(revision for revision in Revision if revision.stateless)
HANDSHAKE = tuple(revision for revision in Revision if not revision.stateless)
LATEST_HANDSHAKE = HANDSHAKE[-1]
KNOWN_HANDSHAKE = frozenset({"2024-11-05", *HANDSHAKE})
"""Versions whose clients shake hands. The oldest one knows another transport only and is not served here; its
name still tells that a client is of that era."""


def negotiate(requested: str) -> Revision:
    """The version of a handshake: the client's own where it is served, else the latest that shakes hands
    (2025-11-25, "Version Negotiation")."""
    return next((revision for revision in HANDSHAKE if revision == requested), LATEST_HANDSHAKE)
