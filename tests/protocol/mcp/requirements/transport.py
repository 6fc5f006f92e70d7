"""Streamable HTTP of 2026-07-28: the endpoint, streams and refusals."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
DEV_GATEWAY = "tests/unit/cli/test_dev_gateway.py"
GUARD = "tests/unit/http/test_guard.py"
HANDSHAKE = "tests/protocol/mcp/test_handshake.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
INPUTS = "tests/protocol/mcp/test_inputs.py"
LOG_MESSAGES = "tests/protocol/mcp/test_log_messages.py"
OAUTH_WHOLE_GATEWAY = "tests/protocol/oauth/test_whole_gateway.py"
PROMPTS = "tests/protocol/mcp/test_prompts.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
UNIT_MESSAGES = "tests/unit/mcp/test_mcp_messages.py"
WHOLE_MESH = "tests/protocol/mcp/test_whole_mesh.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/transports/index#messages",
        "MUST",
        "JSON-RPC messages MUST be UTF-8 encoded.",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_a_body_that_is_not_json_is_a_parse_error_without_an_id",
            "test_any_id_within_bounds_comes_back_as_it_was",
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http",
        "MUST",
        "The server MUST provide a single HTTP endpoint path (hereafter referred to as the MCP endpoint) "
        "that supports POST.",
        tests=tests_of(STATELESS_REFUSALS, "test_other_methods_are_405")
        + tests_of(WHOLE_MESH, "test_a_tool_is_listed_called_and_watched"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#security-endpoint",
        "MUST",
        "Servers MUST validate the Origin header on all incoming connections to prevent DNS rebinding attacks.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_page_of_a_foreign_origin_is_403", "test_an_unknown_host_is_refused")
        + tests_of(GUARD, "test_other_pages_are_refused"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#security-endpoint",
        "MUST",
        "If the Origin header is present and invalid, servers MUST respond with HTTP 403 Forbidden.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_page_of_a_foreign_origin_is_403"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#security-endpoint",
        "SHOULD",
        "When running locally, servers SHOULD bind only to localhost (127.0.0.1) rather than all network "
        "interfaces (0.0.0.0).",
        tests=tests_of(DEV_GATEWAY, "test_on_a_machine_of_ones_own_the_gateway_listens_on_loopback_alone"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#security-endpoint",
        "SHOULD",
        "Servers SHOULD implement proper authentication for all connections.",
        tests=tests_of(
            IDENTITY_MATRIX,
            "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else",
            "test_a_route_admits_whom_its_policy_names_and_nobody_else",
        )
        + tests_of(OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#sending-messages",
        "MUST",
        "The client MUST include an Accept header listing both application/json and text/event-stream as "
        "supported content types.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_client_that_takes_neither_form_is_406")
        + tests_of(
            UNIT_MESSAGES, "test_the_accept_header_is_read", "test_a_client_that_takes_nothing_of_ours_is_refused"
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#sending-messages",
        "MUST",
        "The body of the HTTP POST MUST be a single JSON-RPC request or notification.",
        tests=tests_of(STATELESS_REFUSALS, "test_an_invalid_request_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#sending-messages",
        "MUST",
        "If the server accepts it, the server MUST return HTTP status code 202 Accepted with no body.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_notification_is_202_without_a_body"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#sending-messages",
        "MUST",
        "If the server cannot accept it, it MUST return an HTTP error status code (e.g., 400 Bad Request).",
        tests=tests_of(STATELESS_REFUSALS, "test_a_notification_of_an_unknown_version_is_4xx"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#sending-messages",
        "MUST",
        "If the body is a JSON-RPC request, the server MUST return either Content-Type: application/json (a "
        "single JSON object) or Content-Type: text/event-stream (an SSE response stream).",
        tests=tests_of(
            CALLS,
            "test_a_call_that_is_answered_at_once_is_one_document",
            "test_a_call_that_is_quiet_for_a_moment_becomes_a_stream",
            "test_a_client_that_takes_json_alone_gets_json",
            "test_a_client_that_accepts_only_streams_gets_one_for_everything",
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#receiving-messages",
        "MUST",
        "These notifications MUST relate to the originating client request.",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer")
        + tests_of(LOG_MESSAGES, "test_only_that_request_hears_of_them_which_asked"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#receiving-messages",
        "MUST NOT",
        "The server MUST NOT send independent JSON-RPC requests on this stream.",
        tests=tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it")
        + tests_of(INPUTS, "test_the_answers_reach_the_flow_under_the_input_key"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#receiving-messages",
        "SHOULD",
        "The final JSON-RPC response SHOULD terminate the stream.",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#receiving-messages",
        "SHOULD",
        "When initiating an SSE stream, servers SHOULD include the X-Accel-Buffering: no header in the HTTP response.",
        tests=tests_of(CALLS, "test_a_silent_stream_is_kept_alive")
        + tests_of(STATELESS_METHODS, "test_a_subscription_is_acknowledged_first_and_hears_of_changed_tools"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#cancellation",
        "MUST",
        "Closing the SSE response stream MUST be treated by the server as cancellation of that request.",
        tests=tests_of(CALLS, "test_closing_the_stream_cancels_the_task")
        + tests_of(PROMPTS, "test_leaving_a_prompt_cancels_its_task_in_the_stateless_revision")
        + tests_of(TASKS_EXTENSION, "test_leaving_before_the_handle_cancels_and_leaving_later_does_not"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#cancellation",
        "SHOULD",
        "The server SHOULD stop work on the cancelled request as soon as practical and MUST NOT send any "
        "further messages for it.",
        tests=tests_of(
            CALLS,
            "test_closing_the_stream_cancels_the_task",
            "test_leaving_a_call_that_waits_for_json_cancels_the_task",
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#protocol-version-header",
        "MUST",
        "The header value MUST match the io.modelcontextprotocol/protocolVersion field carried in the "
        "request body's _meta.",
        tests=tests_of(STATELESS_REFUSALS, "test_headers_that_differ_from_the_body_are_a_mismatch"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#protocol-version-header",
        "MUST",
        "Every POST request to the MCP endpoint MUST include an MCP-Protocol-Version header.",
        tests=tests_of(STATELESS_REFUSALS, "test_headers_that_differ_from_the_body_are_a_mismatch")
        + tests_of(HANDSHAKE, "test_a_stateless_request_without_its_header_is_told_so"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#protocol-version-header",
        "MUST",
        "If the values do not match, the server MUST reject the request with 400 Bad Request and a "
        "HeaderMismatch JSON-RPC error",
        tests=tests_of(STATELESS_REFUSALS, "test_headers_that_differ_from_the_body_are_a_mismatch"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#protocol-version-header",
        "MUST",
        "If the server does not implement the requested protocol version … it MUST respond with 400 Bad "
        "Request and an UnsupportedProtocolVersionError listing its supported versions.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_version_that_is_not_served_is_refused_with_those_that_are"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#protocol-version-header",
        "MUST",
        "If the server does not implement the requested RPC method, it MUST respond with 404 Not Found and "
        "a JSON-RPC error with code -32601 (Method not found).",
        tests=tests_of(STATELESS_REFUSALS, "test_a_method_that_this_revision_lacks_is_404")
        + tests_of(TASKS_EXTENSION, "test_the_older_methods_do_not_exist"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#standard-request-headers",
        "MUST",
        "These headers are REQUIRED for compliance.",
        tests=tests_of(STATELESS_REFUSALS, "test_headers_that_differ_from_the_body_are_a_mismatch"),
    ),
)
