"""What a client has declared that it can do (schema ClientCapabilities): in each request's `_meta` since 2026-07-28, at
the initialize of its session before. A client without either has declared nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asya_gateway.protocols.mcp.versions import PREFIX

TASKS_EXTENSION = PREFIX + "tasks"


@dataclass(frozen=True, slots=True)
class ClientCapabilities:
    """The declared object. A member of the wrong type counts as not declared, because a client that cannot be asked
    must not be asked."""

    declared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> bool:
        """Whether it shows forms. `elicitation: {}` means forms only (client/elicitation, "Capabilities")."""
        modes = self._object("elicitation")
        return modes is not None and ("form" in modes or not modes)

    @property
    def url(self) -> bool:
        """Whether it opens URLs (elicitation mode `url`, since 2025-11-25)."""
        modes = self._object("elicitation")
        return modes is not None and "url" in modes

    @property
    def sampling(self) -> bool:
        """Whether it lets a server sample its model."""
        return self._object("sampling") is not None

    @property
    def sampling_tools(self) -> bool:
        """Whether sampling may use tools (`sampling.tools`, since 2025-11-25)."""
        return isinstance((self._object("sampling") or {}).get("tools"), dict)

    @property
    def sampling_context(self) -> bool:
        """Whether sampling may include the context of servers (`sampling.context`, since 2025-11-25)."""
        return isinstance((self._object("sampling") or {}).get("context"), dict)

    @property
    def roots(self) -> bool:
        """Whether it lists roots."""
        return self._object("roots") is not None

    @property
    def askable(self) -> bool:
        """Whether it can be asked anything."""
        return self.form or self.url or self.sampling or self.roots

    @property
    def tasks(self) -> bool:
        """Whether it has declared the tasks extension (2026-07-28; in earlier revisions the name enables nothing)."""
        extensions = self._object("extensions")
        return extensions is not None and isinstance(extensions.get(TASKS_EXTENSION), dict)

    def _object(self, name: str) -> Mapping[str, Any] | None:
        value = self.declared.get(name)
        return value if isinstance(value, dict) else None


NOTHING_DECLARED = ClientCapabilities()
