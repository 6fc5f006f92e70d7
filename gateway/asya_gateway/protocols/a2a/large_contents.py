"""Stored messages and live events as parts of what is sent. Those of many values are decoded, and written in the form
of their reader's dialect, in the other process."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import MAX_VALUES, has_few_values
from asya_crds.offloading import Offload, OffloadFailed
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import Overloaded
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.dialects.known import BY_KEY, Dialect
from asya_gateway.protocols.a2a.dialects.v1_0 import read_part
from asya_gateway.protocols.a2a.errors import A2aError
from asya_gateway.protocols.a2a.model import Message, Part, PartKind, Role, Verbatim
from asya_gateway.protocols.http.bodies import VALUE_WEIGHT

MAX_DEPTH = 2 * jsontext.MAX_DEPTH
WEIGHT = 6
"""Weight of messages that are written in another dialect, per byte, in addition to their values."""
SHORT = 1024
"""Most characters of a live event whose parts are kept."""


async def written_messages(texts: Sequence[JsonText], dialect: Dialect, offload: Offload) -> tuple[Verbatim, ...]:
    """Stored messages in the form of a dialect. They are stored in that of 1.0, so that they need not be decoded for
    it. Raises Overloaded."""
    if dialect.newest:
        return tuple(map(Verbatim, texts))
    size, budget = sum(map(len, texts)), Budget.around()
    budget.add(Share.READERS, WEIGHT * size)
    if has_few_values(",".join(texts)):
        return tuple(map(Verbatim, write_messages(list(texts), dialect.key)))
    budget.add(Share.READERS, VALUE_WEIGHT * min(MAX_VALUES, size))
    try:
        made = await offload.run(f"{__name__}:{write_messages.__name__}", list(texts), dialect.key)
    except OffloadFailed as error:
        raise Overloaded(f"large messages cannot be shown at the moment: {error}") from None
    return tuple(map(Verbatim, made))


def write_messages(texts: list[JsonText], dialect: str) -> list[JsonText]:
    """Stored messages in the form of the dialect with this key. May run in the other process."""
    write = BY_KEY[dialect].message
    return [jsontext.dumps(write(read_stored(text))) for text in texts]


def read_stored(text: JsonText) -> Message:
    """A stored message."""
    value = jsontext.loads(text, max_depth=MAX_DEPTH)
    role = Role.USER if value["role"] == "ROLE_USER" else Role.AGENT
    parts = tuple(read_part(part, "parts") for part in value["parts"])
    return Message(
        message_id=value["messageId"],
        role=role,
        parts=parts,
        context_id=value.get("contextId", ""),
        task_id=value.get("taskId", ""),
        metadata=value.get("metadata", {}),
        extensions=tuple(value.get("extensions", ())),
        reference_task_ids=tuple(value.get("referenceTaskIds", ())),
    )


LiveParts = tuple[tuple[Part, ...], tuple[Verbatim, ...]]
"""The parts of a live event: those that are still to be written in a dialect, and those that are."""


async def parts_of_live(payload: JsonText, dialect: Dialect, offload: Offload) -> LiveParts:
    """The content of a live event. None while the other process, which reads one of many values, is busy, because live
    events may be lost."""
    if len(payload) <= SHORT:
        return _short_parts(payload), ()
    if has_few_values(payload):
        return live_parts(payload), ()
    try:
        made = await offload.run(f"{__name__}:{write_parts.__name__}", payload, dialect.key)
    except OffloadFailed:
        return (), ()
    return (), tuple(map(Verbatim, made))


def write_parts(payload: JsonText, dialect: str) -> list[JsonText]:
    """The parts of a live event in the form of the dialect with this key. Runs in the other process."""
    write = BY_KEY[dialect].part
    return [jsontext.dumps(write(part)) for part in live_parts(payload)]


def live_parts(payload: JsonText) -> tuple[Part, ...]:
    """The content of a live event: the parts of an artifact or a message, a text, or any JSON as data."""
    try:
        value = jsontext.loads(payload, max_depth=MAX_DEPTH)
    except jsontext.InvalidJSON:
        return ()
    if not isinstance(value, dict):
        return (_of(value),) if value not in (None, "") else ()
    for path in (("artifact_update", "artifact"), ("artifact",), ("message",), ("status_update", "status", "message")):
        inner: Any = value
        for name in path:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("parts"), list):
            # Parts that are wrong are data, as in a result.
            return _read(inner["parts"]) or ((_of(value),) if inner["parts"] else ())
    text = next((value[name] for name in TEXTS if isinstance(value.get(name), str)), None)
    if text is not None:
        return (Part(PartKind.TEXT, text),) if text else ()
    return (_of(value),)


@lru_cache(maxsize=1024)
def _short_parts(payload: JsonText) -> tuple[Part, ...]:
    """Kept, because all readers of a task get the same events one after the other, several at a time."""
    return live_parts(payload)


TEXTS = ("text", "token", "delta", "content")


def _of(value: object) -> Part:
    return Part(PartKind.TEXT, value) if isinstance(value, str) else Part(PartKind.DATA, value)


def _read(parts: list[object]) -> tuple[Part, ...]:
    try:
        return tuple(read_part(part, "parts") for part in parts)
    except A2aError:
        return ()
