"""Headers of messages in RabbitMQ: those of ours, and which of others' a copy keeps. Anybody who may publish chooses
them."""

from pamqp import encode
from pamqp.common import FieldTable

DELIVERIES = "x-asya-deliveries"
"""Header of a copy of ours: how often the message was delivered before. The broker's count begins anew with it."""

DELAY_LEFT = "x-asya-delay-left"
"""Header of a message that has passed one delay queue and has to wait on (delays.Wait)."""

DIED_IN = "x-asya-died-in"
"""Header of a dead letter of ours: the actor in whose queue it died."""

OURS = frozenset({DELIVERIES, DELAY_LEFT, DIED_IN})
LARGEST = 64 * 1024
"""Bytes of others' headers that a copy keeps."""
LARGEST_COUNT = 1_000_000

_OF_THE_BROKER = frozenset({"x-delivery-count", "x-death", "CC", "BCC"})
"""Its counts, and the queues that it would send a copy to as well."""


def copied(headers: FieldTable) -> FieldTable:
    """What a copy keeps of a message's headers beside ours. What cannot be written again is left out: a message that
    can neither be put back nor dead-lettered would come back to its worker for ever."""
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
    """A count in a header, or 0 where it is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return min(value, LARGEST_COUNT)
    return 0
