"""What the errors of SQS mean for the port. The codes are those of the API reference ("Errors" of each action, "Common
errors"), in both spellings: of the JSON protocol and of the older query protocol."""

from typing import Any

from asya_transports.port import (
    Forbidden,
    LeaseLost,
    MessageRefused,
    MessageTooLarge,
    TransportError,
    TransportUnavailable,
    Unroutable,
)

MISSING = {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
EXISTS = {"QueueNameExists", "QueueAlreadyExists"}
LOST = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}
REFUSED = {
    "InvalidMessageContents",
    "InvalidParameterValue",
    "InvalidAttributeValue",
}
TOO_LARGE = {"MessageTooLong", "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"}
FORBIDDEN = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "InvalidAddress",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "KmsAccessDenied",
    "KMS.AccessDeniedException",
    "KmsDisabled",
    "KmsNotFound",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}

SIGNED = "The Canonical String"
"""Begins the part of SignatureDoesNotMatch that quotes the request's headers, among them the session's token."""


class NotAnswered(TransportUnavailable):
    """There was no answer in time. SQS may have done what it was asked for."""


class QueueExists(TransportError):
    """A queue of this name exists with other attributes."""


def meaning(code: str, text: str) -> TransportError:
    """The port's error for a code. Every other one (throttling, OverLimit, InternalError, an expired token) may be
    over at the next attempt."""
    said = f"SQS: {text.partition(SIGNED)[0].rstrip()} ({code})"
    if code in MISSING:
        return Unroutable(said)
    if code in EXISTS:
        return QueueExists(said)
    if code in LOST:
        return LeaseLost(said)
    if code in TOO_LARGE or (code in REFUSED and _speaks_of_size(text)):
        return MessageTooLarge(said)
    if code in REFUSED:
        return MessageRefused(said)
    if code in FORBIDDEN:
        return Forbidden(said)
    return TransportUnavailable(said)


def _speaks_of_size(text: str) -> bool:
    """SQS has no code of its own for one message that is too large: "Message must be shorter than 1048576 bytes"."""
    return "must be shorter than" in text or "MessageTooLong" in text


def answers_of(answer: Any, count: int) -> list[TransportError | None]:
    """The answer to each entry of a batch, whose ids are its places: an answer of 200 may name failed entries. An entry
    that it does not name at all is not confirmed."""
    answers: list[TransportError | None] = [TransportUnavailable("SQS did not answer for this message")] * count
    for entry in answer.get("Successful") or ():
        answers[int(entry["Id"])] = None
    for entry in answer.get("Failed") or ():
        answers[int(entry["Id"])] = meaning(str(entry.get("Code", "")), str(entry.get("Message", "no reason")))
    return answers
