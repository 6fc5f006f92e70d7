"""Ids of events, by which a stream goes on after its connection broke (2025-11-25, transports, "Resumability").

An id names its stream and what had been sent on it: the position in the task's log, in the session's log of server
requests, and the last progress. Random digits make it unlike every other id, and a mark under the session's key good in
that session and for its owner only: "globally unique across all streams within that session". It holds no secret.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from asya_crds import jsontext
from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.jsonrpc import Id

LAST_EVENT_ID = "Last-Event-ID"
LONGEST = 128
_LARGEST = 2**63 - 1
_NUMBER = r"(\d{1,19})"
_OF_CALL = re.compile(rf"([0-9a-f]{{32}})-{_NUMBER}-{_NUMBER}-{_NUMBER}", re.ASCII)
_STANDING = re.compile(rf"get-{_NUMBER}-{_NUMBER}(?:-{_NUMBER})?", re.ASCII)
_SEALED = re.compile(r"([0-9a-z-]+)-([0-9a-f]{12})([0-9a-f]{12})", re.ASCII)
"""A place, random digits, and the mark over both."""
_FINEST = 10**12
"""Parts of one in which progress is written."""


def request_hash(id: Id) -> bytes:
    """What stands for a JSON-RPC id: 16 bytes. A number and its text are two ids."""
    return hashlib.sha256(jsontext.dumps(id).encode()).digest()[:16]


class Place(NamedTuple):
    """How far the stream of a call has come: the seq of the task's log, the number of the session's last server request
    on it, and the progress that was sent last (None if none was)."""

    seq: int = 0
    number: int = 0
    progress: float | None = None

    def event_id(self, session: Session, request: bytes) -> str:
        """A new id of an event that brings the reader here."""
        progress = 0 if self.progress is None or self.progress < 0 else round(self.progress * _FINEST) + 1
        return _sealed(session, f"{request.hex()}-{self.seq}-{self.number}-{progress}")


def read_event_id(session: Session, text: str) -> tuple[bytes, Place] | None:
    """The hashed request id and the place in an id of a call's stream; None if it is none of this session."""
    match = _OF_CALL.fullmatch(_unsealed(session, text))
    if match is None:
        return None
    seq, number, progress = map(int, match.groups()[1:])
    if max(seq, number) > _LARGEST:
        return None
    return bytes.fromhex(match[1]), Place(seq, number, (progress - 1) / _FINEST if progress else None)


class StreamPosition(NamedTuple):
    """How far a standalone stream has come: the generation of the registry whose lists its reader knows, the number of
    events on it, and the number of the session's last server request on it, which is left out while there is none."""

    generation: int
    sent: int
    asked: int = 0

    def event_id(self, session: Session) -> str:
        """A new id of an event that brings the reader here."""
        return _sealed(session, f"get-{self.generation}-{self.sent}{f'-{self.asked}' if self.asked else ''}")


def read_standing_id(session: Session, text: str) -> StreamPosition | None:
    """The place in an id of a standalone stream; None if it is none of this session."""
    match = _STANDING.fullmatch(_unsealed(session, text))
    if match is None:
        return None
    found = StreamPosition(int(match[1]), int(match[2]), int(match[3] or 0))
    return found if max(found) <= _LARGEST else None


def _sealed(session: Session, place: str) -> str:
    text = f"{place}-{secrets.token_hex(6)}"
    return text + _mark(session, text)


def _unsealed(session: Session, text: str) -> str:
    """The place; empty for what is no id of this session."""
    match = _SEALED.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        return ""
    place, unique, mark = match.groups()
    return place if hmac.compare_digest(mark, _mark(session, f"{place}-{unique}")) else ""


def _mark(session: Session, text: str) -> str:
    about = f"{session.owner}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(about, digest_size=6, key=session.key).hexdigest()
