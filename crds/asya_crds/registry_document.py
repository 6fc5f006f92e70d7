"""The registry document: what the operator pushes to mesh, and what the registry row holds
(docs/protocols/registry.md).

Flows in it are plain objects, and each pod reads them one by one. A field that an older pod does not know costs it that
flow, not the whole push.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowProblem, Source
from asya_crds.flow_sets import MAX_SETS, FlowSet
from asya_crds.flows_file import FlowsText, FoundFlow

MAX_ENTRIES = 20_000
MAX_UNREADABLE = 1_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Entry(_Part):
    """A flow with its provenance: a key of the ConfigMap, or `Flow/namespace/name`; lines count from 1."""

    source: Source
    flow: dict[str, Any]
    line: int | None = None
    _text: str | None = PrivateAttr(None)

    def known_as(self, text: str) -> None:
        """Keep the JSON text of the whole entry, whose flow here has only its name (registry_text.without_flows)."""
        self._text = text

    def as_text(self) -> str:
        """JSON text of the whole entry."""
        return jsontext.dumps(self.model_dump()) if self._text is None else self._text

    @classmethod
    def of(cls, flow: Flow, source: str, line: int | None = None) -> "Entry":
        """The entry for a flow that was read."""
        return cls(source=source, line=line, flow=flow.document())


def bounded(problems: Sequence[FlowProblem]) -> list[FlowProblem]:
    """The problems, cut to as many as a document may hold; the last one says how many more there are."""
    if len(problems) <= MAX_ENTRIES:
        return list(problems)
    more = len(problems) - MAX_ENTRIES + 1
    return [*problems[: MAX_ENTRIES - 1], FlowProblem(reason=f"and {more} more problems")]


class ResourcesPart(_Part):
    """The flows of Flow resources: every accepted one, including those whose name is taken by a ConfigMap's flow."""

    flows: list[Entry] = Field(default_factory=list, max_length=MAX_ENTRIES)
    problems: list[FlowProblem] = Field(default_factory=list, max_length=MAX_ENTRIES)


class ConfigMapPart(ResourcesPart):
    """The flows of the ConfigMap. `hash` is None if there is no ConfigMap.

    `unreadable` names sources that are not YAML. Their flows and sets in the row stay.
    """

    hash: str | None = Field(default=None, max_length=128, pattern=r"^[!-~]+$")
    unreadable: list[Source] = Field(default_factory=list, max_length=MAX_UNREADABLE)
    sets: list[FlowSet] = Field(default_factory=list, max_length=MAX_SETS)

    @classmethod
    def of(cls, text: FlowsText) -> "ConfigMapPart":
        """The part for a ConfigMap's text."""
        return cls(
            hash=text.hash,
            flows=[_entry(found) for found in text.flows[:MAX_ENTRIES]],
            problems=bounded(text.problems),
            unreadable=list(text.unreadable)[:MAX_UNREADABLE],
            sets=list(text.sets)[:MAX_SETS],
        )


def _entry(found: FoundFlow) -> Entry:
    return Entry.of(found.flow, found.source, found.line)


class RegistryPush(_Part):
    """The body of POST /mesh/config-reload. A part that is absent stays as it is."""

    epoch: int = Field(ge=1, lt=2**63)
    configmap: ConfigMapPart | None = None
    resources: ResourcesPart | None = None
