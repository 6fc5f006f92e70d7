"""What 2025-06-18, 2025-03-26 and 2024-11-05 have of their own: changes, batches and HTTP+SSE."""

from tests.support.requirements import Requirement, tests_of

HANDSHAKE = "tests/protocol/mcp/test_handshake.py"
HANDSHAKE_CALLS = "tests/protocol/mcp/test_handshake_calls.py"
HTTP_SSE = "tests/protocol/mcp/test_http_sse.py"
INPUTS_IN_SESSIONS = "tests/protocol/mcp/test_inputs_in_sessions.py"
SERVER_REQUESTS = "tests/protocol/mcp/test_server_requests.py"
SESSIONS = "tests/protocol/mcp/test_sessions.py"

REQUIREMENTS = (
    Requirement(
        "2025-06-18/changelog#major-changes",
        "STATES",
        "Remove support for JSON-RPC batching",
        tests=tests_of(HANDSHAKE, "test_later_revisions_have_no_batches"),
    ),
    Requirement(
        "2025-06-18/changelog#major-changes",
        "STATES",
        "Add support for structured tool output",
        tests=tests_of(HANDSHAKE, "test_tools_lose_what_a_revision_does_not_know")
        + tests_of(HANDSHAKE_CALLS, "test_structured_content_is_an_object_where_there_is_any"),
    ),
    Requirement(
        "2025-06-18/changelog#major-changes",
        "STATES",
        "Add support for elicitation",
        tests=tests_of(SERVER_REQUESTS, "test_older_revisions_are_asked_what_they_know")
        + tests_of(INPUTS_IN_SESSIONS, "test_older_revisions_are_asked_before_a_call_for_what_they_know"),
    ),
    Requirement(
        "2025-06-18/changelog#major-changes",
        "STATES",
        "Add support for resource links in tool call results",
        tests=tests_of(HANDSHAKE_CALLS, "test_content_blocks_that_a_revision_lacks_come_as_text"),
    ),
    Requirement(
        "2025-03-26/changelog#other-schema-changes",
        "STATES",
        "Added support for audio data, joining the existing text and image content types",
        tests=tests_of(HANDSHAKE_CALLS, "test_audio_came_with_the_second_revision"),
    ),
    Requirement(
        "2025-03-26/changelog#other-schema-changes",
        "STATES",
        "Added completions capability to explicitly indicate support for argument autocompletion suggestions",
        tests=tests_of(HANDSHAKE, "test_the_oldest_revision_has_no_annotations_and_no_completions"),
    ),
    Requirement(
        "2025-03-26/basic/index#batching",
        "MUST",
        "MCP implementations MAY support sending JSON-RPC batches, but MUST support receiving JSON-RPC batches.",
        tests=tests_of(HANDSHAKE_CALLS, "test_a_batch_is_answered_in_one_array")
        + tests_of(SESSIONS, "test_batches_belong_to_sessions_of_their_revision")
        + tests_of(HANDSHAKE, "test_a_batch_of_notifications_is_202", "test_a_batch_of_none_or_too_many_is_invalid")
        + tests_of(HTTP_SSE, "test_a_batch_of_its_revision_is_answered_message_by_message"),
    ),
    Requirement(
        "2025-03-26/basic/lifecycle#initialization",
        "MUST NOT",
        "The initialize request MUST NOT be part of a JSON-RPC batch",
        tests=tests_of(HANDSHAKE_CALLS, "test_a_batch_is_answered_in_one_array")
        + tests_of(HTTP_SSE, "test_a_batch_of_its_revision_is_answered_message_by_message"),
    ),
    Requirement(
        "2025-03-26/basic/transports#sending-messages-to-the-server",
        "SHOULD",
        "The SSE stream SHOULD eventually include one JSON-RPC response per each JSON-RPC request sent in "
        "the POST body.",
        tests=tests_of(HANDSHAKE_CALLS, "test_a_batch_is_answered_in_one_array"),
    ),
    Requirement(
        "2024-11-05/basic/transports#http-with-sse",
        "MUST",
        "The server MUST provide two endpoints:",
        tests=tests_of(
            HTTP_SSE,
            "test_the_first_event_names_the_url_for_messages",
            "test_answers_come_on_the_stream_whoever_takes_the_message",
        ),
    ),
    Requirement(
        "2024-11-05/basic/transports#http-with-sse",
        "MUST",
        "When a client connects, the server MUST send an endpoint event containing a URI for the client to "
        "use for sending messages.",
        tests=tests_of(HTTP_SSE, "test_the_first_event_names_the_url_for_messages"),
    ),
    Requirement(
        "2024-11-05/basic/transports#http-with-sse",
        "MUST",
        "All subsequent client messages MUST be sent as HTTP POST requests to this endpoint.",
        tests=tests_of(HTTP_SSE, "test_answers_come_on_the_stream_whoever_takes_the_message"),
    ),
    Requirement(
        "2024-11-05/basic/transports#http-with-sse",
        "STATES",
        "Server messages are sent as SSE message events",
        tests=tests_of(
            HTTP_SSE,
            "test_answers_come_on_the_stream_whoever_takes_the_message",
            "test_a_question_is_asked_and_answered_on_the_stream",
        ),
    ),
)
