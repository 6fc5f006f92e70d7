"""The handshake of 2025-11-25, and what it agrees on."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
HANDSHAKE = "tests/protocol/mcp/test_handshake.py"
INPUTS_IN_SESSIONS = "tests/protocol/mcp/test_inputs_in_sessions.py"
SERVER_REQUESTS = "tests/protocol/mcp/test_server_requests.py"
SESSIONS = "tests/protocol/mcp/test_sessions.py"

REQUIREMENTS = (
    Requirement(
        "2025-11-25/basic/lifecycle#initialization",
        "MUST",
        "The server MUST respond with its own capabilities and information:",
        tests=tests_of(HANDSHAKE, "test_a_version_that_is_served_is_agreed_on")
        + tests_of(SESSIONS, "test_a_session_says_that_lists_change_and_messages_are_logged"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#initialization",
        "SHOULD NOT",
        "The server SHOULD NOT send requests other than pings and logging before receiving the initialized "
        "notification.",
        deferred=(
            "The notification is a message of its own, which may reach another replica later than the call that it "
            "precedes. Requests travel only on a stream that the client has opened in its session after the answer to "
            "initialize, by a call or by GET, which shows that it is ready "
            "(test_a_client_that_has_not_said_that_it_is_ready_is_answered_and_asked_on_streams_of_its_own_only). The "
            "stream of HTTP+SSE is there before initialize: nothing is asked on it until then, but list_changed, a "
            "notification, may come before the answer."
        ),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#version-negotiation",
        "MUST",
        "If the server supports the requested protocol version, it MUST respond with the same version.",
        tests=tests_of(HANDSHAKE, "test_a_version_that_is_served_is_agreed_on"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#version-negotiation",
        "MUST",
        "Otherwise, the server MUST respond with another protocol version it supports.",
        tests=tests_of(HANDSHAKE, "test_any_other_version_is_answered_with_the_latest_that_shakes_hands"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#version-negotiation",
        "SHOULD",
        "This SHOULD be the latest version supported by the server.",
        tests=tests_of(HANDSHAKE, "test_any_other_version_is_answered_with_the_latest_that_shakes_hands"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#operation",
        "MUST",
        "Both parties MUST: … Only use capabilities that were successfully negotiated",
        tests=tests_of(SERVER_REQUESTS, "test_a_client_is_asked_only_what_it_has_declared")
        + tests_of(INPUTS_IN_SESSIONS, "test_only_what_the_client_has_declared_is_asked")
        + tests_of(HANDSHAKE, "test_lists_keep_to_what_the_revision_knows"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#timeouts",
        "SHOULD",
        "Implementations SHOULD establish timeouts for all sent requests, to prevent hung connections and "
        "resource exhaustion.",
        tests=tests_of(INPUTS_IN_SESSIONS, "test_a_call_whose_session_ends_is_answered")
        + tests_of(CALLS, "test_a_call_whose_wait_is_over_says_that_the_task_continues"),
    ),
    Requirement(
        "2025-11-25/basic/lifecycle#error-handling",
        "SHOULD",
        "Implementations SHOULD be prepared to handle these error cases:",
        tests=tests_of(
            HANDSHAKE,
            "test_a_handshake_without_a_required_part_is_invalid",
            "test_a_version_header_that_is_not_served_is_400",
        ),
    ),
)
