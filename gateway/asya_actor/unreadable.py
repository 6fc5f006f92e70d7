"""Salvages parts of a message that is not an envelope, so that it can be reported."""

import hashlib

from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.naming import check_id

LONGEST_EXCERPT = 4096


def salvage(body: bytes) -> Envelope:
    """An envelope with the message's id if it has one, else an id derived from its bytes, and the beginning of its
    text."""
    try:
        value = jsontext.loads(body)
    except jsontext.InvalidJSON:
        value = None
    found = value if isinstance(value, dict) else {}
    try:
        message_id = check_id(found.get("id"))
    except ValueError:
        message_id = f"unreadable-{hashlib.sha256(body).hexdigest()[:32]}"
    headers = found.get("headers")
    return Envelope(
        id=message_id,
        route=Route(),
        headers=headers if isinstance(headers, dict) else {},
        payload=body[:LONGEST_EXCERPT].decode(errors="replace"),
    )
