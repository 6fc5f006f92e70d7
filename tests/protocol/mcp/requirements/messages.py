"""Messages, errors and statelessness of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
FUZZED = "tests/protocol/mcp/test_fuzzed.py"
INPUTS = "tests/protocol/mcp/test_inputs.py"
OAUTH_WHOLE_GATEWAY = "tests/protocol/oauth/test_whole_gateway.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
TASKS_LISTENING = "tests/protocol/mcp/test_tasks_listening.py"
UNIT_ERRORS = "tests/unit/mcp/test_mcp_errors.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/index#messages",
        "MUST",
        "All messages between MCP clients and servers MUST follow the JSON-RPC 2.0 specification.",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_a_body_that_is_not_json_is_a_parse_error_without_an_id",
            "test_an_invalid_request_is_refused",
        )
        + tests_of(FUZZED, "test_every_mutated_message_gets_the_answer_of_the_specification"),
    ),
    Requirement(
        "2026-07-28/basic/index#requests",
        "MUST",
        "Requests MUST include a string or integer ID.",
        tests=tests_of(
            STATELESS_REFUSALS, "test_an_invalid_request_is_refused", "test_any_id_within_bounds_comes_back_as_it_was"
        ),
    ),
    Requirement(
        "2026-07-28/basic/index#requests",
        "MUST NOT",
        "Unlike base JSON-RPC, the ID MUST NOT be null.",
        tests=tests_of(STATELESS_REFUSALS, "test_an_invalid_request_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/index#result-responses",
        "MUST",
        "Result responses MUST include the same ID as the request they correspond to.",
        tests=tests_of(STATELESS_REFUSALS, "test_any_id_within_bounds_comes_back_as_it_was"),
    ),
    Requirement(
        "2026-07-28/basic/index#result-responses",
        "MUST",
        "Result responses MUST include a result field.",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom")
        + tests_of(CALLS, "test_a_call_that_is_answered_at_once_is_one_document"),
    ),
    Requirement(
        "2026-07-28/basic/index#result-responses",
        "MUST",
        "The result MUST include a resultType field to indicate the type of the result.",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom")
        + tests_of(
            TASKS_EXTENSION,
            "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once",
            "test_a_canceled_task_is_cancelled_at_once_and_stays_so",
            "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it",
        )
        + tests_of(INPUTS, "test_one_round_asks_several_inputs_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/basic/index#resulttype",
        "MUST",
        "The set of supported ResultType values MUST be created from the set defined in the core protocol "
        "and include any additional values of supported extensions that are advertised via capabilities.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once",
            "test_a_client_without_the_extension_gets_the_result",
            "test_the_extension_is_declared_and_the_older_capability_is_not",
        ),
    ),
    Requirement(
        "2026-07-28/basic/index#error-responses",
        "MUST",
        "Error responses MUST include the same ID as the request they correspond to (except in error cases "
        "where the ID could not be read due a malformed request).",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_a_body_that_is_not_json_is_a_parse_error_without_an_id",
            "test_a_broken_envelope_is_400_invalid_params",
        ),
    ),
    Requirement(
        "2026-07-28/basic/index#error-responses",
        "MUST",
        "Error responses MUST include an error field with a code and message.",
        tests=tests_of(STATELESS_REFUSALS, "test_an_invalid_request_is_refused")
        + tests_of(UNIT_ERRORS, "test_a_message_is_bounded"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-responses",
        "MUST",
        "Error codes MUST be integers.",
        tests=tests_of(UNIT_ERRORS, "test_codes_are_those_of_json_rpc_and_of_the_specification"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-codes",
        "MUST NOT",
        "Implementations MUST NOT emit any code from this sub-range that is not defined by this "
        "specification and MUST use defined codes only with their specified meanings.",
        tests=tests_of(UNIT_ERRORS, "test_codes_are_those_of_json_rpc_and_of_the_specification"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-codes",
        "MUST NOT",
        "Implementations of this protocol version MUST NOT emit these codes:",
        tests=tests_of(UNIT_ERRORS, "test_codes_are_those_of_json_rpc_and_of_the_specification")
        + tests_of(STATELESS_METHODS, "test_an_unknown_resource_is_named_in_the_error"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-codes",
        "SHOULD NOT",
        "New codes MUST NOT be allocated in this sub-range, and new implementations SHOULD NOT use codes "
        "from this sub-range at all.",
        tests=tests_of(UNIT_ERRORS, "test_codes_are_those_of_json_rpc_and_of_the_specification"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-codes",
        "STATES",
        "MCP defines the following error codes:",
        tests=tests_of(UNIT_ERRORS, "test_errors_have_the_status_of_their_era")
        + tests_of(INPUTS, "test_a_client_that_can_be_asked_nothing_is_told_what_it_lacks")
        + tests_of(CALLS, "test_a_failure_of_the_runtime_is_an_internal_error_that_names_the_task"),
    ),
    Requirement(
        "2026-07-28/basic/index#error-codes",
        "SHOULD",
        "New error codes for purposes not defined by this specification SHOULD be allocated outside the "
        "JSON-RPC reserved range",
        deferred="The gateway has no codes of its own; what its own errors mean stands in their data.",
    ),
    Requirement(
        "2026-07-28/basic/index#notifications",
        "MUST NOT",
        "The receiver MUST NOT send a response.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_notification_is_202_without_a_body"),
    ),
    Requirement(
        "2026-07-28/basic/index#notifications",
        "MUST NOT",
        "Notifications MUST NOT include an ID.",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer")
        + tests_of(TASKS_LISTENING, "test_each_notification_is_what_a_poll_would_have_answered"),
    ),
    Requirement(
        "2026-07-28/basic/index#statelessness",
        "MUST NOT",
        "Servers MUST NOT rely on prior requests over the same connection to establish context (e.g., "
        "capabilities, protocol version, client identity).",
        tests=tests_of(INPUTS, "test_every_capability_is_of_its_own_request")
        + tests_of(STATELESS_REFUSALS, "test_the_gateway_never_opens_a_session"),
    ),
    Requirement(
        "2026-07-28/basic/index#statelessness",
        "SHOULD",
        "Servers SHOULD be prepared to handle requests associated with multiple tasks, threads, or conversations.",
        tests=tests_of(TASKS_EXTENSION, "test_the_same_task_is_seen_by_every_surface")
        + tests_of(INPUTS, "test_any_replica_goes_on_with_a_state_of_another"),
    ),
    Requirement(
        "2026-07-28/basic/index#statelessness",
        "SHOULD NOT",
        "Servers SHOULD NOT require that a client reuse the same connection or process to perform related operations.",
        tests=tests_of(INPUTS, "test_any_replica_goes_on_with_a_state_of_another")
        + tests_of(TASKS_LISTENING, "test_a_task_is_told_from_any_replica"),
    ),
    Requirement(
        "2026-07-28/basic/index#statelessness",
        "MUST",
        "State that needs to span multiple requests (e.g., long-running tasks, application-level handles) "
        "MUST be referenced by an explicit identifier the client passes on each request.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once",
            "test_the_name_header_is_the_tasks_id",
        )
        + tests_of(INPUTS, "test_the_answers_reach_the_flow_under_the_input_key"),
    ),
    Requirement(
        "2026-07-28/basic/index#auth",
        "SHOULD",
        "Implementations using an HTTP-based transport SHOULD conform to this specification",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY,
            "test_a_client_without_token_learns_where_to_get_one",
            "test_a_token_opens_what_it_was_issued_for",
            "test_a_token_for_another_resource_does_not",
            "test_scopes_are_enforced",
        ),
    ),
)
