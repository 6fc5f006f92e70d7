"""Extensions of the protocol that the gateway has, and their negotiation by header (sections 3.2.6, 3.3.4, 4.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from asya_crds.naming import A2A_SKILL_EXTENSION
from asya_gateway.protocols.a2a.dialects.known import Dialect
from asya_gateway.protocols.a2a.errors import EXTENSION_REQUIRED, A2aError
from asya_gateway.protocols.a2a.viewing import PUSH_EXTENSION
from asya_gateway.settings import Settings

HEADER, OLDER_HEADER = "A2A-Extensions", "X-A2A-Extensions"
"""The header of 1.0, and that of 0.3. Both are read in every dialect."""


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension as cards declare it (AgentExtension). Its URI names its version: another version is another one."""

    uri: str
    description: str
    required: bool = False

    def declaration(self) -> dict[str, Any]:
        """For a card."""
        found: dict[str, Any] = {"uri": self.uri, "description": self.description}
        return {**found, "required": True} if self.required else found


SKILL = Extension(A2A_SKILL_EXTENSION, "Names the skill of a message in metadata: {skillId}.")
PUSH = Extension(PUSH_EXTENSION, "Metadata of a task: push notifications that are sent no more, and why.")


def extensions(settings: Settings) -> Sequence[Extension]:
    """Those of this gateway."""
    return (SKILL, PUSH) if settings.a2a_push else (SKILL,)


def requested(http: web.BaseRequest) -> frozenset[str]:
    """The URIs that a request names."""
    values = [value for name in (HEADER, OLDER_HEADER) for value in http.headers.getall(name, ())]
    return frozenset(uri.strip() for value in values for uri in value.split(",")) - {""}


def activated(uris: frozenset[str], declared: Sequence[Extension]) -> list[str]:
    """Which of the requested extensions are active; unknown ones are ignored, other versions of ours among them.
    Raises A2aError if a required one is not requested."""
    missing = [each.uri for each in declared if each.required and each.uri not in uris]
    if missing:
        raise A2aError(
            EXTENSION_REQUIRED,
            f"expected {HEADER} to name {', '.join(missing)}",
            details={"requiredExtensions": ",".join(missing)},
        )
    return [each.uri for each in declared if each.uri in uris]


def extension_headers(http: web.BaseRequest, settings: Settings, dialect: Dialect) -> dict[str, str]:
    """The header that tells which extensions are active, if any is. Raises A2aError."""
    active = activated(requested(http), extensions(settings))
    return {HEADER if dialect.newest else OLDER_HEADER: ", ".join(active)} if active else {}
