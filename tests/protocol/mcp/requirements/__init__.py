"""Each MUST and SHOULD of the specification's server side that concerns the gateway, the tests that prove it, or why it
is deferred. Duties of clients, of other people's authorization servers and of stdio are left out. 2026-07-28 and the
tasks extension are listed whole, the earlier revisions with what they have of their own."""

from tests.protocol.mcp.requirements import (
    authorization,
    client_features,
    experimental_results,
    experimental_tasks,
    handshake_features,
    headers,
    lifecycle,
    messages,
    metadata,
    mrtr,
    older_revisions,
    patterns,
    prompts,
    resources,
    sessions,
    task_errors,
    tasks,
    tools,
    transport,
    utilities,
)
from tests.support.requirements import Requirement

REQUIREMENTS: tuple[Requirement, ...] = (
    *messages.REQUIREMENTS,
    *metadata.REQUIREMENTS,
    *transport.REQUIREMENTS,
    *headers.REQUIREMENTS,
    *authorization.REQUIREMENTS,
    *tools.REQUIREMENTS,
    *prompts.REQUIREMENTS,
    *resources.REQUIREMENTS,
    *utilities.REQUIREMENTS,
    *mrtr.REQUIREMENTS,
    *patterns.REQUIREMENTS,
    *client_features.REQUIREMENTS,
    *tasks.REQUIREMENTS,
    *task_errors.REQUIREMENTS,
    *experimental_tasks.REQUIREMENTS,
    *experimental_results.REQUIREMENTS,
    *lifecycle.REQUIREMENTS,
    *sessions.REQUIREMENTS,
    *handshake_features.REQUIREMENTS,
    *older_revisions.REQUIREMENTS,
)
