"""A message as SQS takes it: a text of XML's characters, and attributes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_transports.port import MessageRefused, MessageTooLarge
from asya_transports.sqs import attributes
from asya_transports.sqs.characters import NOT_IN_XML
from asya_transports.sqs.settings import LONGEST_DELAY


class Outgoing(NamedTuple):
    """`size`: bytes with the attributes."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    delay: int
    size: int

    def entry(self, number: int) -> dict[str, Any]:
        """Its entry in a batch."""
        entry = {"Id": str(number), "MessageBody": self.body, "MessageAttributes": self.attributes}
        return entry | {"DelaySeconds": self.delay} if self.delay else entry


def outgoing(
    body: bytes,
    values: Mapping[str, object],
    others: Mapping[str, Mapping[str, Any]],
    *,
    delay: int = 0,
    most: int,
) -> Outgoing:
    """The message with our attributes (`values`) and those of others. A longer delay than SQS has is written beside it,
    so that the receiver sends it on. Raises MessageRefused for one over `most` bytes, and for a body that is not UTF-8
    or empty."""
    text = escaped(body)
    first = min(delay, LONGEST_DELAY)
    left = {attributes.DELAY_LEFT: delay - first} if delay > first else {}
    every = {**others, **attributes.written({**values, **left})}
    length = (len(text) if text.isascii() else len(text.encode())) + attributes.size(every)
    if length > most:
        raise too_large(length, most)
    return Outgoing(text, every, first, length)


def escaped(body: bytes) -> str:
    """The text with JSON's escapes for the characters that XML has not; in JSON they are in strings only. Raises
    MessageRefused."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MessageRefused(f"the message is not UTF-8: {error.reason} at byte {error.start}") from None
    if not text:
        raise MessageRefused("the message is empty, SQS takes none without a character")
    return NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def too_large(length: int, most: int) -> MessageTooLarge:
    """For a message of this many bytes."""
    return MessageTooLarge(f"the message has {length} bytes, the limit of SQS is {most}")
