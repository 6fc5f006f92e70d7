"""A method's result, independent of the revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    whole_error: str | None = None
    """Of a `whole` tool result with isError: its first text."""

    @property
    def error_text(self) -> str | None:
        """The first text of a tool's result that is an error; None for any other result."""
        if self.whole is not None:
            return self.whole_error
        if self.fields.get("isError") is not True:
            return None
        texts = (block.get("text") for block in self.fields["content"])
        return next((text for text in texts if isinstance(text, str) and text), "The tool returned an error")

    def with_meta(self, meta: Mapping[str, Any]) -> "Result":
        """The same with further members of `_meta`. Not for a `whole` result, which was made with them."""
        if not meta:
            return self
        return replace(self, fields={**self.fields, "_meta": {**self.fields.get("_meta", {}), **meta}})

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
