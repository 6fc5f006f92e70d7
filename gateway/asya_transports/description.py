"""The description of a queue system, without connecting to it: its settings, its limits, its autoscaling trigger.

Every folder beside this file has one DESCRIPTION. Descriptions import no driver, so that the operator's domain and
programs without the extra can use them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from asya_crds.durations import parse_duration

MEBIBYTE = 1024 * 1024


class TransportSettingsError(ValueError):
    """A variable is missing or invalid. The text names it and contains no part of a secret value."""


class TransportSettings(Protocol):
    """The result of a folder's `read`: frozen, and complete enough to connect. Sizes are in bytes."""

    @property
    def name(self) -> str:
        """The transport's name in `ASYA_TRANSPORT`."""

    @property
    def max_message_bytes(self) -> int:
        """Size of the largest message that this queue system accepts."""

    @property
    def place(self) -> str:
        """Where the queues are, in words that are equal in all programs which use the same queues. Without host names,
        which programs spell differently, and empty where the queues themselves show it (a receipt)."""


GROWTH = 64 * 1024
"""Bytes that hops may add to an envelope (route, headers, status), at most a sixteenth of the largest message."""


def largest_call(max_message_bytes: int) -> int:
    """Bytes of the largest envelope of a call. What a gateway accepts must not become too large on its way."""
    return max_message_bytes - min(GROWTH, max_message_bytes // 16)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What a queue system cannot promise, beside the size of its largest message, which is a setting. Each limit has a
    row in docs/delivery.md and a case in tests/contract/test_limits.py."""

    longest_name: int | None = None
    """Most characters of a queue's name; None if all names of namespaces and actors fit."""
    longest_delay: float | None = None
    """Seconds that the queue system itself delays a message at most. A transport makes a longer delay of several. None
    if there is no limit."""
    one_consumer_each: bool = True
    """Whether a held message is with one consumer. If not, two may get it at the same time on rare occasions, and only
    the claim of the hop keeps it from being run twice."""
    late_answers_noticed: bool = True
    """Whether the queue system refuses the answer of a consumer whose lease has expired. If it does not, the transport
    knows only by its own clock, and an answer that is on its way when the lease expires counts."""
    in_order: bool = True
    """Whether one consumer receives messages in the order of publishing, as long as none is returned."""
    depth_known: bool = True
    """Whether the queue system tells how many messages wait. If it does not, `Transport.depth` is unavailable."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as in docs/settings.md. A `secret` one belongs in a Secret and never in a log."""

    name: str
    default: str
    description: str
    secret: bool = False
    check: Callable[[str], object] | None = None
    """Raises ValueError with what was expected, without any part of a secret. Only for variables of the operator,
    because `read` checks the others."""


@dataclass(frozen=True, slots=True)
class TriggerSecret:
    """A parameter of KEDA's trigger that comes from a key of the transport's Secret."""

    parameter: str
    key: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """KEDA's trigger for one queue. `authentication` names a TriggerAuthentication that the installation provides; if
    it is empty, one is created from `secrets` and `pod_identity`."""

    type: str
    metadata: Mapping[str, str]
    secrets: tuple[TriggerSecret, ...] = ()
    authentication: str = ""
    pod_identity: str = ""
    """The provider of the identity with which KEDA's own pod reads the queue, instead of a secret."""


TriggerOf = Callable[[str, int, Mapping[str, str]], Trigger]
"""Takes the queue's address (port.Transport.address), the number of messages for one replica, and the result of
`visible`."""


def as_utf8(text: str) -> int:
    """Bytes of the text as UTF-8."""
    return len(text.encode())


@dataclass(frozen=True, slots=True)
class TransportDescription:
    """One queue system."""

    name: str
    """The name in `ASYA_TRANSPORT`, which is also the folder's."""
    variables: tuple[Variable, ...]
    """All variables that `read` uses."""
    read: Callable[[Mapping[str, str]], TransportSettings]
    """Reads its settings from the environment. Raises TransportSettingsError."""
    transport: str
    """`module:Class` of its port.Transport, which is created from settings and namespace."""
    trigger: TriggerOf
    limits: QueueLimits = QueueLimits()
    bytes_of: Callable[[str], int] = as_utf8
    """Bytes of a message whose body is this JSON text, which `max_message_bytes` limits. At most six for a character,
    which is JSON's longest escape of one."""
    drivers: tuple[str, ...] = ()
    """Modules installed by the extra. Without them the transport cannot be opened."""
    extra: str = ""
    """The extra of the distribution `asya` with the drivers; empty if every installation has them."""
    in_database: bool = False
    """Whether a message is a row in the gateway's own database, written in the task's own transaction. There is then no
    dispatcher, and queues exist from their first message on."""
    operator_variables: tuple[Variable, ...] = ()
    """Variables that only the operator reads."""
    unseen_by_keda: Callable[[Mapping[str, str]], str] = lambda _visible: ""
    """From the result of `visible`: what KEDA does not see and how to fix that; empty if it sees everything."""
    shared: tuple[str, ...] = ()
    """Variables without secrets that must be equal in all programs of a namespace: the operator passes its own to the
    actors."""

    development: Mapping[str, str] = field(default_factory=dict)
    """Variables, and their values in the programs of `asya dev`, which end and begin again at each change of a file."""
    advice: str = ""
    """For somebody whose program cannot reach the queue system: what to set, as one sentence without its full stop."""

    def check_operator(self, environment: Mapping[str, str]) -> None:
        """Check the operator's variables. Raises TransportSettingsError naming the variable."""
        for each in self.operator_variables:
            value = environment.get(each.name)
            if value and each.check is not None:
                try:
                    each.check(value)
                except ValueError as error:
                    raise TransportSettingsError(f"{each.name}: {error}") from None

    def names_a_place(self, environment: Mapping[str, str]) -> bool:
        """Whether the environment contains the address of the queues."""
        return any(environment.get(each.name) for each in self.variables if each.secret)

    def visible(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables of this transport that are set. For a secret one, only the fact that it is set, not its
        value."""
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
