"""What sources offer over MCP: tools, prompts, resources and templates of resources, and what each of them can do.

Whatever a client uses becomes a task, so an offer says what is submitted for it, and how it is shown. Only the tasks of
the gateway are read instead. A source other than flows makes such offers of what it has, and no protocol asks where one
comes from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from asya_crds.flow import McpExposure
from asya_crds.mcp_offers import McpPrompt, McpResource
from asya_crds.uri_template import Template
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.identity.access import readable
from asya_gateway.domain.identity.principals import Caller


class Offer(Protocol):
    """One item of a list. Offers of one kind are told apart by `key`: the name of a tool or prompt, the URI of a
    resource or its template."""

    @property
    def key(self) -> str: ...

    @property
    def name(self) -> str:
        """The name by which endpoints select it: the flow's."""

    @property
    def size(self) -> int:
        """Characters of its definition, about."""

    @property
    def sets(self) -> frozenset[str]:
        """Tool sets that it is in."""

    @property
    def everywhere(self) -> bool:
        """Whether every endpoint shows it, whatever part it selects."""

    @property
    def template(self) -> Template | None:
        """The template of resources that it is; None for everything else."""

    def seen_by(self, caller: Caller) -> bool:
        """Whether it exists for this caller."""

    def check_use(self, caller: Caller) -> None:
        """Raises Denied for a caller that sees it but may not use it."""

    def shows_like(self, other: Any) -> bool:
        """Whether clients are shown the same as by this former offer of the same key."""


class RunOffer(Offer, Protocol):
    """An offer that runs: a tool."""

    @property
    def served(self) -> ServedFlow:
        """What a call of it is submitted to, with its checks."""

    @property
    def exposure(self) -> McpExposure:
        """How it is shown, and what it asks."""


class PromptOffer(RunOffer, Protocol):
    """A flow that clients list as a prompt, and run when they get it."""

    @property
    def prompt(self) -> McpPrompt:
        """What is shown of it as a prompt."""


class ResourceOffer(RunOffer, Protocol):
    """A resource, or a template of them, that runs when it is read."""

    @property
    def resource(self) -> McpResource:
        """What is shown of it as a resource."""


@final
@dataclass(frozen=True, slots=True)
class TaskOffer:
    """A template of task resources, which are read and do not run. Implements Offer. Tasks are bound to no tool set, so
    it is shown everywhere."""

    key: str
    title: str
    description: str
    template: Template
    whole_result: bool
    """Whether it is the result alone, not the task with it."""
    name: str = ""
    size: int = 256
    sets: frozenset[str] = frozenset()
    everywhere: bool = True

    def seen_by(self, caller: Caller) -> bool:
        """Whether the caller may read any task of its own."""
        return bool(readable(caller))

    def check_use(self, caller: Caller) -> None:
        """Whose task it is, the statement that reads it checks."""

    def shows_like(self, other: Any) -> bool:
        """It never changes."""
        return isinstance(other, TaskOffer)


OfferType = TypeVar("OfferType", bound=Offer)


class OfferKind(Generic[OfferType]):
    """A list that clients ask for, and what its offers can do."""

    def __init__(self, value: str) -> None:
        self.value = value


TOOLS = OfferKind[RunOffer]("tools")
PROMPTS = OfferKind[PromptOffer]("prompts")
RESOURCES = OfferKind[ResourceOffer | TaskOffer]("resources")
TEMPLATES = OfferKind[ResourceOffer | TaskOffer]("templates")
KINDS: tuple[OfferKind[Any], ...] = (TOOLS, PROMPTS, RESOURCES, TEMPLATES)


class Offers:
    """Offers of every kind, by key."""

    def __init__(self) -> None:
        self._of: dict[OfferKind[Any], dict[str, Any]] = {kind: {} for kind in KINDS}

    def add(self, kind: OfferKind[OfferType], offer: OfferType) -> None:
        """Add one, in place of an earlier one of the same key."""
        self._of[kind][offer.key] = offer

    def of(self, kind: OfferKind[OfferType]) -> Mapping[str, OfferType]:
        """Those of one kind."""
        return self._of[kind]

    def add_all(self, other: "Offers") -> None:
        """Add all of another source, in place of earlier ones of the same keys."""
        for kind, offers in other._of.items():
            self._of[kind] |= offers


class Source(Protocol):
    """Something that offers."""

    def offers(self) -> Offers:
        """Everything that it offers now."""

    def sets(self) -> frozenset[str]:
        """Tool sets that exist for everybody, even without a flow that the caller sees."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever offers or sets have changed; the returned function ends that."""
