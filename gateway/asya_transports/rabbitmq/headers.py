"""Headers of messages in RabbitMQ: our own, and those of others that a copy keeps. Headers are untrusted: every
publisher chooses them."""

from pamqp import encode
from pamqp.common import FieldTable

DELIVERIES = "x-asya-deliveries"
"""Header of our copy of a message: how often the message was delivered before. The broker's count restarts with the
copy."""

DELAY_LEFT = "x-asya-delay-left"
"""Header of a message that has passed one delay queue and must wait longer (delays.Wait)."""

DIED_IN = "x-asya-died-in"
"""Header of our dead letters: the actor in whose queue the message died."""

OURS = frozenset({DELIVERIES, DELAY_LEFT, DIED_IN})
LARGEST = 64 * 1024
"""Most bytes of other headers that a copy keeps."""
LARGEST_COUNT = 1_000_000

_OF_THE_BROKER = frozenset({"x-delivery-count", "x-death", "CC", "BCC"})
"""The broker's counts, and the additional queues to which it would send a copy."""


def copied(headers: FieldTable) -> FieldTable:
    """The headers, other than ours, that a copy keeps. Headers that cannot be encoded again are left out. Otherwise a
    message could be neither returned nor dead-lettered, and would come back to its worker forever."""
    kept: FieldTable = {}
    size = 0
    for name, value in headers.items():
        if name in OURS or name in _OF_THE_BROKER or name.startswith(("x-first-death-", "x-last-death-")):
            continue
        try:
            size += len(encode.field_table({name: value}))
        except Exception:  # noqa: BLE001, S112 - which values the encoder takes, and how it fails, is its own matter
            continue
        kept[name] = value
    return kept if size <= LARGEST else {}


def count(value: object) -> int:
    """A count in a header, or 0 if it is not a count."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return min(value, LARGEST_COUNT)
    return 0
