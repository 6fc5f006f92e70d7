"""A method's result, independent of the revision."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.rendering import with_verbatim
from asya_gateway.protocols.mcp.versions import PREFIX, Revision

SERVER_KEY = PREFIX + "serverInfo"
SERVER_INFO = {"name": "asya", "title": "Asya gateway", "version": version("asya")}


@dataclass(frozen=True, slots=True)
class Result:
    """The members of a result object; `verbatim` ones are already JSON text.

    `cacheable` results have the stateless revision's cache members. Lists depend on the caller and change as soon as a
    flow does, so they are private and stale at once. `whole`: the complete text, if another process made it.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    verbatim: dict[str, JsonText | None] = field(default_factory=dict)
    cacheable: bool = False
    whole: JsonText | None = None

    def text(self, revision: Revision) -> JsonText:
        """The result object's JSON. Members of the stateless revision are left out in earlier ones."""
        if self.whole is not None:
            return self.whole
        fields = dict(self.fields)
        if revision.stateless:
            fields.setdefault("resultType", "complete")
            fields["_meta"] = {**fields.get("_meta", {}), SERVER_KEY: SERVER_INFO}
            if self.cacheable:
                fields |= {"ttlMs": 0, "cacheScope": "private"}
        return with_verbatim(fields, self.verbatim)
