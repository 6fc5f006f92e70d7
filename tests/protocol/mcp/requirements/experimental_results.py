"""The experimental tasks of 2025-11-25: metadata, lists, cancellation and access."""

from tests.support.requirements import Requirement, tests_of

HTTP_CAPS = "tests/integration/http/test_caps.py"
HTTP_LIMITS = "tests/integration/http/test_limits.py"
HTTP_MAIN_PATH = "tests/integration/http/test_main_path.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
IDS = "tests/unit/domain/test_ids.py"
KEYS_AND_AUDIT = "tests/integration/http/test_keys_and_audit.py"
RETENTION = "tests/integration/storage/test_retention.py"
TASKS_EXPERIMENTAL = "tests/protocol/mcp/test_tasks_experimental.py"
TASKS_WHOLE_MESH = "tests/protocol/mcp/test_tasks_whole_mesh.py"
TASKS_IN_SESSIONS = "tests/protocol/mcp/test_tasks_in_sessions.py"
UNIT_TASK_STATUSES = "tests/unit/mcp/test_task_statuses.py"

REQUIREMENTS = (
    Requirement(
        "2025-11-25/basic/utilities/tasks#associating-task-related-messages",
        "MUST",
        "All requests, notifications, and responses related to a task MUST include the "
        "io.modelcontextprotocol/related-task key in their _meta field",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_the_result_is_waited_for_and_says_whose_it_is",
            "test_waiting_for_a_result_goes_on_with_progress",
            "test_what_its_task_waits_for_is_asked_for_it_in_a_session",
            "test_what_ends_a_question_of_a_task_says_whose_it_is",
        )
        + tests_of(
            TASKS_IN_SESSIONS,
            "test_a_client_that_only_polls_is_asked_on_its_standalone_stream",
            "test_progress_goes_on_under_the_token_of_the_call_until_the_task_ends",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-status-notification",
        "MAY",
        "When a task status changes, receivers MAY send a notifications/tasks/status notification to inform "
        "the requestor of the change.",
        tests=tests_of(TASKS_IN_SESSIONS, "test_each_change_of_status_is_told_once"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#associating-task-related-messages",
        "MUST",
        "For the tasks/get, tasks/result, and tasks/cancel operations, the taskId parameter in the request "
        "MUST be used as the source of truth for identifying the target task.",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_the_result_is_waited_for_and_says_whose_it_is",
            "test_an_unknown_task_is_invalid_params",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#associating-task-related-messages",
        "MUST",
        "For example, an elicitation that a task-augmented tool call depends on MUST share the same related "
        "task ID with that tool call's task.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_what_its_task_waits_for_is_asked_for_it_in_a_session"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#related-task-metadata",
        "MUST",
        "The tasks/result operation MUST include this metadata in its response, as the result structure "
        "itself does not contain the task ID.",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_the_result_is_waited_for_and_says_whose_it_is",
            "test_a_large_result_says_whose_it_is_too",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#related-task-metadata",
        "SHOULD NOT",
        "For the tasks/get, tasks/list, and tasks/cancel operations, requestors and receivers SHOULD NOT "
        "include this metadata in their messages",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_a_task_is_cancelled_before_the_answer_and_once",
            "test_a_caller_lists_its_own_tasks_in_pages",
            "test_what_is_said_about_a_task_does_not_say_again_whose_it_is",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#associating-task-related-messages",
        "MUST",
        "receivers MUST ignore such metadata if present in favor of the RPC method parameter",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_the_task_of_a_request_is_that_of_its_parameter"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-status-notification",
        "SHOULD NOT",
        "the notifications/tasks/status notification SHOULD NOT include the io.modelcontextprotocol/related-task "
        "metadata",
        tests=tests_of(TASKS_IN_SESSIONS, "test_each_change_of_status_is_told_once"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#getting-tasks",
        "SHOULD NOT",
        "servers SHOULD NOT upgrade to an SSE stream in response to a tasks/get request",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_what_is_said_about_a_task_does_not_say_again_whose_it_is"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-progress-notifications",
        "MUST",
        "Progress notifications for tasks MUST use the same progressToken that was provided in the initial "
        "task-augmented request",
        tests=tests_of(TASKS_IN_SESSIONS, "test_progress_goes_on_under_the_token_of_the_call_until_the_task_ends"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "SHOULD",
        "In these scenarios, receivers SHOULD document this limitation clearly, as task results may be accessible "
        "to any requestor that can guess the task ID.",
        deferred="docs/protocols/mcp.md says so: at an open gateway, whoever knows an id reads its task.",
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-listing",
        "SHOULD",
        "Receivers SHOULD use cursor-based pagination to limit the number of tasks returned in a single response.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_caller_lists_its_own_tasks_in_pages"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-listing",
        "MUST",
        "Receivers MUST include a nextCursor in the response if more tasks are available.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_caller_lists_its_own_tasks_in_pages"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-listing",
        "MUST",
        "If a task is retrievable via tasks/get for a requestor, it MUST be retrievable via tasks/list for "
        "that requestor.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_caller_lists_its_own_tasks_in_pages"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-cancellation",
        "MUST",
        "Receivers MUST reject cancellation requests for tasks already in a terminal status (completed, "
        "failed, or cancelled) with error code -32602 (Invalid params).",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_task_is_cancelled_before_the_answer_and_once"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-cancellation",
        "MUST",
        "Upon receiving a valid cancellation request, receivers SHOULD attempt to stop the task execution "
        "and MUST transition the task to cancelled status before sending the response.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_task_is_cancelled_before_the_answer_and_once"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-cancellation",
        "MUST",
        "Once a task is cancelled, it MUST remain in cancelled status even if execution continues to "
        "completion or fails.",
        tests=tests_of(TASKS_WHOLE_MESH, "test_a_canceled_task_ends_though_its_actor_works_on")
        + tests_of(HTTP_MAIN_PATH, "test_the_first_end_wins"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#protocol-errors",
        "MUST",
        "Receivers MUST return standard JSON-RPC errors for the following protocol error cases:",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_an_unknown_task_is_invalid_params",
            "test_a_foreign_cursor_is_invalid",
            "test_a_malformed_augmentation_is_invalid",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-execution-errors",
        "MUST",
        "If the underlying request resulted in a JSON-RPC error, tasks/result MUST return that same JSON-RPC error.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_fault_fails_its_task_and_is_the_error_of_the_result"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-execution-errors",
        "MUST",
        "If the request completed with a JSON-RPC response, tasks/result MUST return a successful JSON-RPC "
        "response containing that result.",
        tests=tests_of(
            TASKS_EXPERIMENTAL,
            "test_the_result_is_waited_for_and_says_whose_it_is",
            "test_the_tools_own_error_fails_its_task_with_its_text",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-execution-errors",
        "SHOULD",
        "The tasks/get response SHOULD include a statusMessage field with diagnostic information about the failure.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_the_tools_own_error_fails_its_task_with_its_text")
        + tests_of(UNIT_TASK_STATUSES, "test_a_message_is_the_errors_or_the_last_reports"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "MUST",
        "When an authorization context is provided, receivers MUST bind tasks to said context.",
        tests=tests_of(
            IDENTITY_TASKS_OVER_MCP,
            "test_a_foreign_task_of_the_handshake_era_looks_like_none",
            "test_another_caller_changed_nothing",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "MUST",
        "If context-binding is unavailable, receivers MUST generate cryptographically secure task IDs with "
        "enough entropy to prevent guessing",
        tests=tests_of(IDS, "test_nobody_can_guess_an_id_from_others_of_the_same_moment"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "SHOULD NOT",
        "receivers that cannot identify requestors SHOULD NOT declare the tasks.list capability",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_tasks_are_not_listed_where_callers_are_not_told_apart"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "MUST",
        "If context-binding is available, receivers MUST reject tasks/get, tasks/result, and tasks/cancel "
        "requests for tasks that do not belong to the same authorization context as the requestor.",
        tests=tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_handshake_era_looks_like_none"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "MUST",
        "For tasks/list requests, receivers MUST ensure the returned task list includes only tasks "
        "associated with the requestor's authorization context.",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_a_caller_lists_its_own_tasks_in_pages")
        + tests_of(IDENTITY_MATRIX, "test_lists_show_a_caller_its_own_tasks_only"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#task-isolation-and-access-control",
        "SHOULD",
        "receivers SHOULD implement rate limiting on task operations to prevent denial-of-service and "
        "enumeration attacks.",
        tests=tests_of(HTTP_LIMITS, "test_a_caller_has_a_bounded_number_of_open_requests"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#resource-management",
        "SHOULD",
        "Receivers SHOULD: Enforce limits on concurrent tasks per requestor",
        tests=tests_of(
            HTTP_CAPS,
            "test_one_call_more_than_the_flow_may_have_is_429_until_one_ends",
            "test_a_key_is_answered_whatever_the_cap_of_its_owner",
        ),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#resource-management",
        "SHOULD",
        "Receivers SHOULD: … Enforce maximum ttl durations … Clean up expired tasks promptly to free resources",
        tests=tests_of(TASKS_EXPERIMENTAL, "test_an_augmented_call_is_answered_with_a_nested_task_at_once")
        + tests_of(RETENTION, "test_a_running_process_removes_what_is_old_in_all_its_rounds"),
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#resource-management",
        "SHOULD",
        "Receivers SHOULD: … Document maximum supported ttl duration … Document maximum concurrent tasks per requestor "
        "… Implement monitoring and alerting for resource usage",
        deferred="Documents and not behavior: docs/settings.md has ASYA_RETENTION_TASKS and "
        "ASYA_MAX_OPEN_TASKS_PER_OWNER, docs/observability.md the metrics and alerts.",
    ),
    Requirement(
        "2025-11-25/basic/utilities/tasks#audit-and-logging",
        "SHOULD",
        "Receivers SHOULD: Log task creation, completion, and retrieval events for audit purposes … Include auth "
        "context in logs when available",
        # Creation and end stand in the log of the task, beside its owner; what callers do to it stands in the audit.
        # Reads are not recorded: clients poll, and what matters would be lost among them.
        tests=tests_of(KEYS_AND_AUDIT, "test_cancels_and_answers_are_audited_with_who_did_them"),
    ),
)
