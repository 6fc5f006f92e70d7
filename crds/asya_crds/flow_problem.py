"""Why a flow is not served: one form for files, log lines, responses and conditions."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from asya_crds.flows_json import FlowProblemJson

MAX_NAME, MAX_REASON, MAX_SOURCE = 256, 4096, 1024
Source = Annotated[str, Field(max_length=MAX_SOURCE)]


class FlowProblem(BaseModel):
    """A flow, or a whole source, that is not served, and why. `name` is empty if the flow has no readable name; lines
    count from 1."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: str = Field(default="", max_length=MAX_NAME)
    reason: str = Field(max_length=MAX_REASON)
    source: Source = ""
    line: int | None = None

    @classmethod
    def of(cls, name: str, reason: str, source: str, line: int | None = None) -> Self:
        """A problem with its texts cut to the lengths that messages allow."""
        return cls(name=name[:MAX_NAME], reason=reason[:MAX_REASON], source=source[:MAX_SOURCE], line=line)

    def as_dict(self) -> FlowProblemJson:
        """The form in which callers see it."""
        return {"name": self.name, "reason": self.reason, "source": self.source, "line": self.line}

    def text(self) -> str:
        """One line for a log."""
        return f"{place(self.source, self.line)}: {self.name + ': ' if self.name else ''}{self.reason}"


class NameTaken(FlowProblem):
    """The flow is valid, but an earlier one has its name. (On the wire it is like any other problem.)"""


class UnreadableSource(FlowProblem):
    """A whole source that is not YAML; its last readable content stays in force. (On the wire it is like any other
    problem.)"""


def place(source: str, line: int | None) -> str:
    """`flows.yaml, line 3`."""
    return f"{source}, line {line}" if line else source


class FlowNames:
    """Who owns each name. Of several flows with one name, the first to claim it is served (docs/protocols/registry.md);
    so it is with the names of prompts and the URIs of resources.

    Only a flow that can be served may claim a name, so that an invalid flow cannot take it from a valid one.
    """

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._offers: dict[str, str] = {}

    def taken(self) -> frozenset[str]:
        """The names claimed so far."""
        return frozenset(self._places)

    def claim(self, name: str, where: str, offers: Sequence[str] = ()) -> str | None:
        """None if the name now belongs to this flow, with everything that it offers under names of its own
        (Flow.offers); else the reason why it does not."""
        if name in self._places:
            return f"the name is taken by {self._places[name]}"
        for offer in offers:
            if offer in self._offers:
                return f"the {offer} is taken by {self._offers[offer]}"
        self._places[name] = where
        self._offers |= dict.fromkeys(offers, where)
        return None
