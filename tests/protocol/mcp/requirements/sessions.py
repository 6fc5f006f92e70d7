"""Sessions and streams of 2025-11-25."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
GUARD = "tests/unit/http/test_guard.py"
HANDSHAKE = "tests/protocol/mcp/test_handshake.py"
HANDSHAKE_CALLS = "tests/protocol/mcp/test_handshake_calls.py"
INPUTS_IN_SESSIONS = "tests/protocol/mcp/test_inputs_in_sessions.py"
SDK_SESSIONS = "tests/protocol/mcp/test_sdk_sessions.py"
SERVER_REQUESTS = "tests/protocol/mcp/test_server_requests.py"
SESSIONS = "tests/protocol/mcp/test_sessions.py"
STANDING_STREAMS = "tests/protocol/mcp/test_standing_streams.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
STREAMS_OF_OFFERS = "tests/protocol/mcp/test_streams_of_offers.py"
TASKS_IN_SESSIONS = "tests/protocol/mcp/test_tasks_in_sessions.py"

REQUIREMENTS = (
    Requirement(
        "2025-11-25/basic/transports#streamable-http",
        "MUST",
        "The server MUST provide a single HTTP endpoint path (hereafter referred to as the MCP endpoint) "
        "that supports both POST and GET methods.",
        tests=tests_of(STANDING_STREAMS, "test_changes_of_lists_are_told")
        + tests_of(SESSIONS, "test_a_session_id_is_assigned_and_served_by_every_replica"),
    ),
    Requirement(
        "2025-11-25/basic/transports#security-warning",
        "MUST",
        "Servers MUST validate the Origin header on all incoming connections to prevent DNS rebinding attacks",
        tests=tests_of(STATELESS_REFUSALS, "test_a_page_of_a_foreign_origin_is_403")
        + tests_of(GUARD, "test_other_pages_are_refused"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "MUST",
        "The body of the POST request MUST be a single JSON-RPC request, notification, or response.",
        tests=tests_of(HANDSHAKE, "test_later_revisions_have_no_batches")
        + tests_of(SERVER_REQUESTS, "test_a_response_to_no_request_of_ours_is_dropped"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "MUST",
        "If the server accepts the input, the server MUST return HTTP status code 202 Accepted with no body.",
        tests=tests_of(HANDSHAKE, "test_notifications_are_202_without_a_body", "test_a_late_response_is_202"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "MUST",
        "If the server cannot accept the input, it MUST return an HTTP error status code (e.g., 400 Bad Request).",
        tests=tests_of(HANDSHAKE, "test_a_version_header_that_is_not_served_is_400")
        + tests_of(SESSIONS, "test_an_unknown_id_is_404_in_every_method"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "MUST",
        "If the input is a JSON-RPC request, the server MUST either return Content-Type: text/event-stream, "
        "to initiate an SSE stream, or Content-Type: application/json, to return one JSON object.",
        tests=tests_of(HANDSHAKE_CALLS, "test_progress_travels_on_the_calls_own_stream")
        + tests_of(
            CALLS,
            "test_a_client_that_takes_json_alone_gets_json",
            "test_a_client_that_accepts_only_streams_gets_one_for_everything",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "The server SHOULD immediately send an SSE event consisting of an event ID and an empty data field "
        "in order to prime the client to reconnect",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_a_stream_begins_with_an_event_by_which_its_client_comes_back",
            "test_older_revisions_are_asked_what_they_know",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "If the server does close the connection prior to terminating the SSE stream, it SHOULD send an SSE "
        "event with a standard retry field before closing the connection.",
        tests=tests_of(SERVER_REQUESTS, "test_a_stream_begins_with_an_event_by_which_its_client_comes_back"),
    ),
    Requirement(
        "2025-11-25/basic/transports#listening-for-messages-from-the-server",
        "SHOULD",
        "If the server closes the connection without terminating the stream, it SHOULD follow the same polling "
        "behavior as described for POST requests: sending a retry field and allowing the client to reconnect.",
        tests=tests_of(
            STANDING_STREAMS,
            "test_changes_of_lists_are_told",
            "test_a_client_that_comes_back_is_told_of_what_changed_meanwhile",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "The SSE stream SHOULD eventually include a JSON-RPC response for the JSON-RPC request sent in the POST body.",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition",
            "test_a_client_that_comes_back_late_gets_the_result",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "MAY",
        "The server MAY send JSON-RPC requests and notifications before sending the JSON-RPC response.",
        tests=tests_of(SERVER_REQUESTS, "test_a_task_asks_its_client_and_goes_on_with_the_answer_from_another_replica"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "These messages SHOULD relate to the originating client request.",
        tests=tests_of(SERVER_REQUESTS, "test_a_task_asks_its_client_and_goes_on_with_the_answer_from_another_replica")
        + tests_of(INPUTS_IN_SESSIONS, "test_a_form_is_asked_on_the_calls_stream_and_answered_at_another_replica"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "After the JSON-RPC response has been sent, the server SHOULD terminate the SSE stream.",
        tests=tests_of(HANDSHAKE_CALLS, "test_progress_travels_on_the_calls_own_stream"),
    ),
    Requirement(
        "2025-11-25/basic/transports#sending-messages-to-the-server",
        "SHOULD NOT",
        "Disconnection SHOULD NOT be interpreted as the client cancelling its request.",
        tests=tests_of(HANDSHAKE_CALLS, "test_leaving_is_not_canceling")
        + tests_of(SERVER_REQUESTS, "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition"),
    ),
    Requirement(
        "2025-11-25/basic/transports#listening-for-messages-from-the-server",
        "MUST",
        "The server MUST either return Content-Type: text/event-stream in response to this HTTP GET, or "
        "else return HTTP 405 Method Not Allowed",
        tests=tests_of(
            STANDING_STREAMS, "test_changes_of_lists_are_told", "test_a_stream_without_the_right_accept_header_is_406"
        )
        + tests_of(STATELESS_REFUSALS, "test_other_methods_are_405")
        + tests_of(SERVER_REQUESTS, "test_a_stream_that_goes_on_elsewhere_before_it_is_open_ends_at_once"),
    ),
    Requirement(
        "2025-11-25/basic/transports#listening-for-messages-from-the-server",
        "SHOULD",
        "These messages SHOULD be unrelated to any concurrently-running JSON-RPC request from the client.",
        tests=tests_of(STANDING_STREAMS, "test_changes_of_lists_are_told"),
    ),
    Requirement(
        "2025-11-25/basic/transports#listening-for-messages-from-the-server",
        "MUST NOT",
        "The server MUST NOT send a JSON-RPC response on the stream unless resuming a stream associated "
        "with a previous client request.",
        tests=tests_of(STANDING_STREAMS, "test_changes_of_lists_are_told")
        + tests_of(SERVER_REQUESTS, "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition"),
    ),
    Requirement(
        "2025-11-25/basic/transports#multiple-connections",
        "MUST",
        "The server MUST send each of its JSON-RPC messages on only one of the connected streams; that is, "
        "it MUST NOT broadcast the same message across multiple streams.",
        tests=tests_of(STANDING_STREAMS, "test_the_newest_stream_ends_the_older_on_any_replica")
        + tests_of(SERVER_REQUESTS, "test_the_newest_stream_of_a_call_ends_the_older")
        + tests_of(TASKS_IN_SESSIONS, "test_who_waits_for_the_result_is_asked_there_and_only_there"),
    ),
    Requirement(
        "2025-11-25/basic/transports#resumability-and-redelivery",
        "MUST",
        "If present, the ID MUST be globally unique across all streams within that session",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_no_two_events_of_a_session_have_one_id",
            "test_an_event_id_is_good_in_its_session_only",
            "test_an_event_id_of_another_session_is_unknown_to_one_with_a_call_of_the_same_id",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#resumability-and-redelivery",
        "SHOULD",
        "Event IDs SHOULD encode sufficient information to identify the originating stream, enabling the "
        "server to correlate a Last-Event-ID to the correct stream.",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition",
            "test_an_event_id_is_good_in_its_session_only",
        )
        + tests_of(STANDING_STREAMS, "test_a_client_that_comes_back_is_told_of_what_changed_meanwhile"),
    ),
    Requirement(
        "2025-11-25/basic/transports#resumability-and-redelivery",
        "MUST NOT",
        "The server MUST NOT replay messages that would have been delivered on a different stream.",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_an_event_id_is_good_in_its_session_only",
            "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition",
        ),
    ),
    Requirement(
        "2025-11-25/basic/transports#resumability-and-redelivery",
        "MAY",
        "The server MAY use this header to replay messages that would have been sent after the last event "
        "ID, on the stream that was disconnected, and to resume the stream from that point.",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition",
            "test_a_client_that_comes_back_late_gets_the_result",
            "test_an_open_question_goes_on_at_another_replica",
        )
        + tests_of(SDK_SESSIONS, "test_a_call_goes_on_when_its_replica_stops")
        + tests_of(INPUTS_IN_SESSIONS, "test_a_stream_that_broke_goes_on_at_another_replica_with_the_question")
        + tests_of(STANDING_STREAMS, "test_a_client_that_comes_back_is_told_of_what_changed_meanwhile")
        + tests_of(STREAMS_OF_OFFERS, "test_a_stream_goes_on_with_its_progress_its_question_and_its_result")
        + tests_of(TASKS_IN_SESSIONS, "test_a_wait_for_a_result_goes_on_at_another_replica"),
    ),
    Requirement(
        "2025-11-25/basic/transports#session-management",
        "SHOULD",
        "The session ID SHOULD be globally unique and cryptographically secure",
        tests=tests_of(SESSIONS, "test_two_sessions_have_two_ids_and_the_database_has_neither"),
    ),
    Requirement(
        "2025-11-25/basic/transports#session-management",
        "MUST",
        "The session ID MUST only contain visible ASCII characters (ranging from 0x21 to 0x7E).",
        tests=tests_of(SESSIONS, "test_a_session_id_is_assigned_and_served_by_every_replica"),
    ),
    Requirement(
        "2025-11-25/basic/transports#session-management",
        "SHOULD",
        "Servers that require a session ID SHOULD respond to requests without an MCP-Session-Id header "
        "(other than initialization) with HTTP 400 Bad Request.",
        deferred="No session is required: calls without an id are served.",
    ),
    Requirement(
        "2025-11-25/basic/transports#session-management",
        "MUST",
        "The server MAY terminate the session at any time, after which it MUST respond to requests "
        "containing that session ID with HTTP 404 Not Found.",
        tests=tests_of(
            SESSIONS,
            "test_an_ended_session_is_unknown_on_every_replica_at_once",
            "test_an_unknown_id_is_404_in_every_method",
        )
        + tests_of(STANDING_STREAMS, "test_a_stream_ends_with_its_session"),
    ),
    Requirement(
        "2025-11-25/basic/transports#session-management",
        "SHOULD",
        "Clients that no longer need a particular session … SHOULD send an HTTP DELETE to the MCP endpoint "
        "with the MCP-Session-Id header, to explicitly terminate the session.",
        tests=tests_of(SESSIONS, "test_an_ended_session_is_unknown_on_every_replica_at_once"),
    ),
    Requirement(
        "2025-11-25/basic/transports#protocol-version-header",
        "SHOULD",
        "For backwards compatibility, if the server does not receive an MCP-Protocol-Version header, and "
        "has no other way to identify the version … the server SHOULD assume protocol version 2025-03-26.",
        tests=tests_of(HANDSHAKE, "test_without_a_version_header_the_oldest_revision_is_spoken")
        + tests_of(SESSIONS, "test_a_request_without_a_version_has_that_of_its_session"),
    ),
    Requirement(
        "2025-11-25/basic/transports#protocol-version-header",
        "MUST",
        "If the server receives a request with an invalid or unsupported MCP-Protocol-Version, it MUST "
        "respond with 400 Bad Request.",
        tests=tests_of(HANDSHAKE, "test_a_version_header_that_is_not_served_is_400")
        + tests_of(SESSIONS, "test_a_request_may_name_another_version_than_its_session"),
    ),
)
