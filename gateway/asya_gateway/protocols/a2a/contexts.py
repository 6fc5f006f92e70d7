"""Names of contexts. A client's own name is mapped to one that is unique among all owners, because it is the key by
which actors keep what belongs to a conversation."""

import hashlib
import uuid

from asya_gateway.domain.identity.principals import Caller


def new_context_id() -> str:
    """A name for a client that gave none."""
    return str(uuid.uuid4())


def inner_context_id(caller: Caller, context_id: str) -> str:
    """The name inside the gateway, the same for every task of this owner in this context."""
    return hashlib.sha256(f"{caller.owner}\0{context_id}".encode()).hexdigest()[:32]
