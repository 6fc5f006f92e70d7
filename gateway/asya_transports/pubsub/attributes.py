"""Attributes of messages: our own, Pub/Sub's, and those of others that a copy keeps. All are untrusted: every publisher
chooses them."""

import math
from collections.abc import Mapping

DELIVERIES = "asya-deliveries"
"""Of a copy: how often the message was delivered before. Pub/Sub's count restarts with the copy. Of a dead letter: how
often it was delivered in all."""
DELAY = "asya-delay"
"""Seconds after its publishing before which the message is not to be worked on."""
DIED_IN = "asya-died-in"
"""Of our dead letters: the actor in whose queue the message died."""

DEAD_SOURCE = "CloudPubSubDeadLetterSourceSubscription"
"""Of a message that Pub/Sub itself dead-lettered: the name of the subscription."""
DEAD_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
"""Of the same: how often it was delivered."""

LARGEST_COUNT = 1_000_000
LONGEST_ATTRIBUTE_DELAY = 366 * 86_400.0
MOST_COPIED = 90
"""Attributes of others that a copy keeps; Pub/Sub accepts 100 of a message."""

_OURS = frozenset({DELIVERIES, DELAY, DIED_IN})
_RESERVED = ("goog", "CloudPubSubDeadLetter")
"""Pub/Sub refuses a message with attributes of the first kind; the second describe an earlier death."""


def copied(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of others that a copy keeps."""
    kept = {name: value for name, value in attributes.items() if name not in _OURS and not name.startswith(_RESERVED)}
    return kept if len(kept) <= MOST_COPIED else {}


def count(attributes: Mapping[str, str], name: str) -> int:
    """A count, or 0 if there is none."""
    text = attributes.get(name, "")
    return min(int(text), LARGEST_COUNT) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def delay_of(attributes: Mapping[str, str]) -> float | None:
    """Seconds of the delay; None if the message has none."""
    try:
        delay = float(attributes[DELAY])
    except (KeyError, ValueError):
        return None
    return delay if math.isfinite(delay) and 0 < delay <= LONGEST_ATTRIBUTE_DELAY else None


def with_delay(delay: float) -> dict[str, str]:
    """The attribute of a delay, if there is one."""
    return {DELAY: f"{delay:.3f}"} if delay > 0 else {}
