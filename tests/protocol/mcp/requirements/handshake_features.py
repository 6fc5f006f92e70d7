"""Utilities, tools, resources and client features of 2025-11-25, where they differ from 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

HANDSHAKE = "tests/protocol/mcp/test_handshake.py"
HANDSHAKE_CALLS = "tests/protocol/mcp/test_handshake_calls.py"
HTTP_SSE = "tests/protocol/mcp/test_http_sse.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
INPUTS_IN_SESSIONS = "tests/protocol/mcp/test_inputs_in_sessions.py"
QUIET_CALLS = "tests/protocol/mcp/test_quiet_calls.py"
RESOURCES = "tests/protocol/mcp/test_resources.py"
SDK_CLIENT = "tests/protocol/mcp/test_sdk_client.py"
SERVER_REQUESTS = "tests/protocol/mcp/test_server_requests.py"
SESSIONS = "tests/protocol/mcp/test_sessions.py"
STANDING_STREAMS = "tests/protocol/mcp/test_standing_streams.py"
TASKS_EXPERIMENTAL = "tests/protocol/mcp/test_tasks_experimental.py"
UNIT_FORMS = "tests/unit/mcp/test_forms.py"
UNIT_INPUT_RESPONSES = "tests/unit/mcp/test_input_responses.py"
UNIT_MESSAGES = "tests/unit/mcp/test_mcp_messages.py"
TASKS_IN_SESSIONS = "tests/protocol/mcp/test_tasks_in_sessions.py"
UNIT_RENDERING = "tests/unit/mcp/test_mcp_rendering.py"
URL_ELICITATION = "tests/protocol/mcp/test_url_elicitation.py"

REQUIREMENTS = (
    Requirement(
        "2025-11-25/basic/utilities/ping#behavior-requirements",
        "MUST",
        "The receiver MUST respond promptly with an empty response:",
        tests=tests_of(HANDSHAKE, "test_ping_is_answered_with_an_empty_object"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/ping#implementation-considerations",
        "SHOULD",
        "Implementations SHOULD periodically issue pings to detect connection health",
        deferred="Comments on open streams show that they live, and a session ends when it is idle.",
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#implementation-notes",
        "SHOULD",
        "Both parties SHOULD log cancellation reasons for debugging",
        # The log of the task has it, with which its owner and operators look for the reason of its end.
        tests=tests_of(SESSIONS, "test_a_cancellation_reaches_the_call_from_another_replica"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/progress#progress-flow",
        "MUST",
        "The progress value MUST increase with each notification, even if the total is unknown.",
        tests=tests_of(QUIET_CALLS, "test_a_quiet_call_goes_on_with_progress")
        + tests_of(UNIT_MESSAGES, "test_progress_increases_strictly_whatever_the_log_says")
        + tests_of(INPUTS_IN_SESSIONS, "test_progress_goes_on_while_the_client_is_asked_and_rises_after"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/progress#behavior-requirements",
        "MUST",
        "For task-augmented requests, the progressToken provided in the original request MUST continue to "
        "be used for progress notifications throughout the task's lifetime",
        tests=tests_of(TASKS_IN_SESSIONS, "test_progress_goes_on_under_the_token_of_the_call_until_the_task_ends"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#behavior-requirements",
        "SHOULD",
        "Receivers of cancellation notifications SHOULD: … Stop processing the cancelled request … Not send "
        "a response for the cancelled request",
        tests=tests_of(
            SESSIONS,
            "test_a_cancellation_reaches_the_call_from_another_replica",
            "test_a_cancellation_that_comes_before_its_call_ends_it",
        )
        + tests_of(INPUTS_IN_SESSIONS, "test_a_canceled_call_asks_nothing_more_and_its_requests_are_closed")
        + tests_of(SERVER_REQUESTS, "test_a_canceled_call_does_not_go_on")
        + tests_of(HTTP_SSE, "test_a_call_is_canceled_from_the_other_replica"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#behavior-requirements",
        "MUST",
        "For task-augmented requests, the tasks/cancel request MUST be used instead of the "
        "notifications/cancelled notification.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_task_is_cancelled_before_the_answer_and_once"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#behavior-requirements",
        "MUST",
        "Cancellation notifications MUST only reference requests that: … Were previously issued in the same direction",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_an_answer_elsewhere_withdraws_the_request",
            "test_one_of_several_inputs_answered_elsewhere_is_withdrawn_while_the_others_stay",
        )
        + tests_of(HANDSHAKE_CALLS, "test_a_cancel_by_request_id_reaches_no_other_client"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#timing-considerations",
        "MUST",
        "Both parties MUST handle these race conditions gracefully:",
        tests=tests_of(
            SESSIONS,
            "test_a_cancellation_that_comes_before_its_call_ends_it",
            "test_a_cancellation_of_something_else_changes_nothing",
        )
        + tests_of(
            INPUTS_IN_SESSIONS, "test_an_answer_that_arrived_while_nobody_held_the_call_is_found_by_who_goes_on"
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/cancellation#error-handling",
        "SHOULD",
        "Invalid cancellation notifications SHOULD be ignored:",
        tests=tests_of(SESSIONS, "test_a_cancellation_of_something_else_changes_nothing"),
    ),
    Requirement(
        "2025-11-25/server/utilities/logging#capabilities",
        "MUST",
        "Servers that emit log message notifications MUST declare the logging capability:",
        tests=tests_of(SESSIONS, "test_a_session_says_that_lists_change_and_messages_are_logged"),
    ),
    Requirement(
        "2025-11-25/server/utilities/logging#error-handling",
        "SHOULD",
        "Servers SHOULD return standard JSON-RPC errors for common failure cases:",
        tests=tests_of(STANDING_STREAMS, "test_a_level_that_does_not_exist_is_invalid"),
    ),
    Requirement(
        "2025-11-25/server/utilities/logging#setting-log-level",
        "MAY",
        "To configure the minimum log level, clients MAY send a logging/setLevel request",
        tests=tests_of(
            STANDING_STREAMS,
            "test_messages_are_sent_from_the_level_on_that_was_set",
            "test_no_messages_are_sent_before_a_level_is_set",
        ),
    ),
    Requirement(
        "2025-11-25/server/tools#list-changed-notification",
        "SHOULD",
        "When the list of available tools changes, servers that declared the listChanged capability SHOULD "
        "send a notification:",
        tests=tests_of(STANDING_STREAMS, "test_changes_of_lists_are_told")
        + tests_of(SESSIONS, "test_a_session_says_that_lists_change_and_messages_are_logged"),
    ),
    Requirement(
        "2025-11-25/server/tools#error-handling",
        "STATES",
        "Protocol Errors: Standard JSON-RPC errors for issues like:",
        tests=tests_of(HANDSHAKE, "test_an_unknown_tool_is_an_error_in_a_200"),
    ),
    Requirement(
        "2025-11-25/server/tools#structured-content",
        "SHOULD",
        "For backwards compatibility, a tool that returns structured content SHOULD also return the "
        "serialized JSON in a TextContent block.",
        tests=tests_of(HANDSHAKE_CALLS, "test_structured_content_is_an_object_where_there_is_any")
        + tests_of(UNIT_RENDERING, "test_any_value_becomes_a_result_of_the_revision"),
    ),
    Requirement(
        "2025-11-25/server/tools#output-schema",
        "MUST",
        "Servers MUST provide structured results that conform to this schema.",
        tests=tests_of(
            SDK_CLIENT,
            "test_a_result_that_breaks_the_output_schema_is_an_error_that_says_so_and_shows_it",
            "test_a_result_that_keeps_the_output_schema_is_structured",
        ),
    ),
    Requirement(
        "2025-11-25/server/resources#error-handling",
        "SHOULD",
        "Servers SHOULD return standard JSON-RPC errors for common failure cases:",
        tests=tests_of(HANDSHAKE, "test_an_unknown_resource_has_the_code_of_its_time")
        + tests_of(RESOURCES, "test_a_resource_that_does_not_exist_is_named_in_the_error"),
    ),
    Requirement(
        "2025-11-25/server/resources#subscriptions",
        "STATES",
        "The protocol supports optional subscriptions to resource changes.",
        tests=tests_of(
            STANDING_STREAMS, "test_a_subscribed_task_is_told_of", "test_a_subscription_to_no_uri_is_invalid"
        ),
    ),
    Requirement(
        "2025-11-25/server/utilities/pagination#error-handling",
        "SHOULD",
        "Invalid cursors SHOULD result in an error with code -32602 (Invalid params).",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_foreign_cursor_is_invalid"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#capabilities",
        "MUST NOT",
        "Servers MUST NOT send elicitation requests with modes that are not supported by the client.",
        tests=tests_of(
            SERVER_REQUESTS,
            "test_a_client_is_asked_only_what_it_has_declared",
            "test_older_revisions_are_asked_what_they_know",
        )
        + tests_of(UNIT_FORMS, "TestForms::test_only_what_the_client_has_declared_is_asked"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#protocol-messages",
        "STATES",
        "To request information from a user, servers send an elicitation/create request",
        tests=tests_of(INPUTS_IN_SESSIONS, "test_a_form_is_asked_on_the_calls_stream_and_answered_at_another_replica"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#completion-notifications-for-url-mode-elicitation",
        "MUST",
        "MUST only send the notification to the client that initiated the elicitation request.",
        tests=tests_of(SERVER_REQUESTS, "test_a_url_is_asked_for_consent_and_its_end_is_told"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#completion-notifications-for-url-mode-elicitation",
        "MUST",
        "MUST include the elicitationId established in the original elicitation/create request.",
        tests=tests_of(SERVER_REQUESTS, "test_a_url_is_asked_for_consent_and_its_end_is_told")
        + tests_of(TASKS_IN_SESSIONS, "test_the_end_of_a_question_at_a_url_is_told")
        + tests_of(UNIT_FORMS, "TestUrls::test_its_end_and_its_error_are_those_of_2025_11_25"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#url-elicitation-required-error",
        "MUST NOT",
        "The server MUST NOT return this error except when URL mode elicitation is required.",
        tests=tests_of(
            URL_ELICITATION,
            "test_any_other_call_is_told_by_its_result",
            "test_a_call_with_a_key_is_told_where_to_go_and_has_its_result_when_it_comes_back",
        ),
    ),
    Requirement(
        "2025-11-25/client/elicitation#url-elicitation-required-error",
        "MUST",
        "The error MUST include a list of elicitations that are required to complete before the original "
        "can be retried.",
        tests=tests_of(
            URL_ELICITATION, "test_a_call_with_a_key_is_told_where_to_go_and_has_its_result_when_it_comes_back"
        )
        + tests_of(UNIT_FORMS, "TestUrls::test_its_end_and_its_error_are_those_of_2025_11_25"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#url-elicitation-required-error",
        "MUST",
        "Any elicitations returned in the error MUST be URL mode elicitations and have an elicitationId property.",
        tests=tests_of(
            URL_ELICITATION, "test_a_call_with_a_key_is_told_where_to_go_and_has_its_result_when_it_comes_back"
        )
        + tests_of(UNIT_FORMS, "TestUrls::test_only_2025_11_25_names_its_elicitations"),
    ),
    Requirement(
        "2025-11-25/client/elicitation#statefulness",
        "MUST NOT",
        "State MUST NOT be associated with session IDs alone",
        tests=tests_of(SERVER_REQUESTS, "test_a_response_of_another_session_changes_nothing")
        + tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_handshake_era_looks_like_none"),
    ),
    Requirement(
        "2025-11-25/client/sampling#error-handling",
        "SHOULD",
        "Clients SHOULD return errors for common failure cases:",
        tests=tests_of(UNIT_INPUT_RESPONSES, "test_an_error_in_place_of_a_result_declines")
        + tests_of(SERVER_REQUESTS, "test_an_error_in_place_of_a_result_ends_the_request"),
    ),
    Requirement(
        "2025-11-25/client/sampling#capabilities",
        "STATES",
        "Clients that support sampling MUST declare the sampling capability during initialization:",
        tests=tests_of(INPUTS_IN_SESSIONS, "test_only_what_the_client_has_declared_is_asked"),
    ),
)
