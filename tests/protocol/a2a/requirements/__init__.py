"""Each MUST and SHOULD of A2A 1.0.1 that concerns a server, the tests that prove it, or why it is deferred. Duties of
clients, of SDKs and of bindings of others are left out, and so is gRPC, which the gateway does not offer. What 0.3 and
the oldest dialect have of their own is listed with the sentences that tests quote."""

from tests.protocol.a2a.requirements import (
    authorization,
    bindings,
    cards,
    conversations,
    data_model,
    errors,
    extended_card,
    extensions,
    json_rpc,
    listing,
    older_dialects,
    operations,
    push,
    rest,
    security,
    signatures,
    streams,
    versions,
)
from tests.support.requirements import Requirement

REQUIREMENTS: tuple[Requirement, ...] = (
    *operations.REQUIREMENTS,
    *streams.REQUIREMENTS,
    *listing.REQUIREMENTS,
    *push.REQUIREMENTS,
    *extended_card.REQUIREMENTS,
    *errors.REQUIREMENTS,
    *conversations.REQUIREMENTS,
    *versions.REQUIREMENTS,
    *data_model.REQUIREMENTS,
    *extensions.REQUIREMENTS,
    *bindings.REQUIREMENTS,
    *authorization.REQUIREMENTS,
    *cards.REQUIREMENTS,
    *signatures.REQUIREMENTS,
    *json_rpc.REQUIREMENTS,
    *rest.REQUIREMENTS,
    *security.REQUIREMENTS,
    *older_dialects.REQUIREMENTS,
)
