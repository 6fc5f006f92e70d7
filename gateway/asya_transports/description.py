"""What programs know of a queue system before they speak to it: its settings, its limits, how it is scaled by.

Every folder beside this file has one DESCRIPTION. Descriptions import no driver, so that the operator's decisions and
programs without the extra can read them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from asya_crds.durations import parse_duration

MEBIBYTE = 1024 * 1024


class TransportSettingsError(ValueError):
    """A variable is missing or makes no sense; the text names it and holds no part of a secret value."""


class TransportSettings(Protocol):
    """What a folder's `read` returns: frozen, and complete enough to connect. Sizes are bytes."""

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""

    @property
    def max_message_bytes(self) -> int:
        """Size of the largest message that this queue system takes."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as docs/settings.md lists it. A `secret` one belongs into a Secret and no log."""

    name: str
    default: str
    description: str
    secret: bool = False
    check: Callable[[str], object] | None = None
    """Raises ValueError with what was expected, and no piece of a secret; of what only the operator reads, since the
    rest is for `read` to check."""


@dataclass(frozen=True, slots=True)
class TriggerSecret:
    """A parameter of KEDA's trigger that comes from a key of the transport's Secret."""

    parameter: str
    key: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """KEDA's trigger for one queue. `authentication` names a TriggerAuthentication that the installation brings
    itself; where it is empty one is made of `secrets`."""

    type: str
    metadata: Mapping[str, str]
    secrets: tuple[TriggerSecret, ...] = ()
    authentication: str = ""


TriggerOf = Callable[[str, int, Mapping[str, str]], Trigger]
"""From the queue's name, the messages that one replica copes with, and what `visible` returned."""


@dataclass(frozen=True, slots=True)
class TransportDescription:
    """One queue system."""

    name: str
    """Its name in `ASYA_TRANSPORT`, and its folder's."""
    variables: tuple[Variable, ...]
    """All that `read` looks at."""
    read: Callable[[Mapping[str, str]], TransportSettings]
    """Its settings from the environment. Raises TransportSettingsError."""
    transport: str
    """`module:Class` of what keeps the promise of port.Transport, made of settings and namespace."""
    trigger: TriggerOf
    drivers: tuple[str, ...] = ()
    """Modules that the extra brings; without them the transport cannot be opened."""
    extra: str = ""
    """The extra of the distribution `asya` with the drivers; empty where every installation has them."""
    in_database: bool = False
    """Whether a message is a row of the gateway's own database, written in the task's own transaction. Nothing is
    dispatched then, and queues come into being with their first message."""
    operator_variables: tuple[Variable, ...] = ()
    """What only the operator reads."""
    unseen_by_keda: Callable[[Mapping[str, str]], str] = lambda _visible: ""
    """From what `visible` returned: what KEDA does not see, and how to mend that; empty where it sees everything."""
    shared: tuple[str, ...] = ()
    """Variables that all programs of a namespace must agree on, and that hold no secret: the operator hands its own
    on to the actors."""

    def check_operator(self, environment: Mapping[str, str]) -> None:
        """Check what only the operator reads. Raises TransportSettingsError, naming the variable."""
        for each in self.operator_variables:
            value = environment.get(each.name)
            if value and each.check is not None:
                try:
                    each.check(value)
                except ValueError as error:
                    raise TransportSettingsError(f"{each.name}: {error}") from None

    def names_a_place(self, environment: Mapping[str, str]) -> bool:
        """Whether the environment says where the queues are."""
        return any(environment.get(each.name) for each in self.variables if each.secret)

    def visible(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables of this transport that are set. Of a secret one only that it is set, not its value."""
        every = (*self.variables, *self.operator_variables)
        given = {each.name: "(set)" if each.secret else environment.get(each.name, "") for each in every}
        return {name: value for name, value in given.items() if environment.get(name)}


def whole_number(environment: Mapping[str, str], name: str, default: int, *, most: int = 10**18) -> int:
    """A number of at least 1; raises TransportSettingsError."""
    text = environment.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not 1 <= int(text) <= most:
        limit = f" and at most {most}" if most < 10**18 else ""
        raise TransportSettingsError(f"{name}: expected a whole number of at least 1{limit}, not {text[:40]!r}")
    return int(text)


def seconds(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    """A duration; raises TransportSettingsError."""
    text = environment.get(name)
    if not text:
        return default
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise TransportSettingsError(f"{name}: {error}") from None
    if value < least:
        raise TransportSettingsError(f"{name}: expected at least {least:g} s, not {text[:40]!r}")
    return value
