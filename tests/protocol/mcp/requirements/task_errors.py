"""The tasks extension: notifications, errors and access."""

from tests.support.requirements import Requirement, tests_of

IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
IDS = "tests/unit/domain/test_ids.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
TASKS_LISTENING = "tests/protocol/mcp/test_tasks_listening.py"
TASKS_OUTAGES = "tests/protocol/mcp/test_tasks_outages.py"
UNIT_TASK_STATUSES = "tests/unit/mcp/test_task_statuses.py"

REQUIREMENTS = (
    Requirement(
        "ext-tasks/draft#task-status-notifications",
        "STATES",
        "Each notification carries a complete DetailedTask for the current status",
        tests=tests_of(TASKS_LISTENING, "test_each_notification_is_what_a_poll_would_have_answered"),
    ),
    Requirement(
        "ext-tasks/draft#task-status-notifications",
        "STATES",
        "the server includes the list of task IDs it has agreed to send task status notifications for",
        tests=tests_of(
            TASKS_LISTENING,
            "test_unknown_tasks_are_left_out_of_the_acknowledgement",
            "test_tasks_of_others_are_left_out_like_unknown_ones",
        ),
    ),
    Requirement(
        "ext-tasks/draft#task-status-notifications",
        "MUST",
        "If a client requests task status notifications but does not declare the "
        "io.modelcontextprotocol/tasks extension capability, the server MUST return a JSON-RPC error "
        "specifying the missing capabilities:",
        tests=tests_of(TASKS_LISTENING, "test_a_client_without_the_extension_is_refused"),
    ),
    Requirement(
        "ext-tasks/draft#task-status-notifications",
        "MUST NOT",
        "notifications/progress and notifications/message notifications MUST NOT be sent on the "
        "subscriptions/listen stream for a task",
        tests=tests_of(TASKS_LISTENING, "test_progress_never_travels_with_a_subscription"),
    ),
    Requirement(
        "ext-tasks/draft#streamable-http-routing-headers",
        "MUST",
        "the client MUST set the Mcp-Name header to the value of params.taskId.",
        tests=tests_of(TASKS_EXTENSION, "test_the_name_header_is_the_tasks_id"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "MUST",
        "Servers MUST return standard JSON-RPC errors for the following protocol error cases:",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_an_invalid_id_is_invalid_params",
            "test_a_request_without_the_extension_is_refused_before_its_task_is_looked_up",
        )
        + tests_of(TASKS_OUTAGES, "test_a_request_during_an_outage_is_503_for_every_id"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "MUST",
        "Servers MUST return this error for tasks/get.",
        tests=tests_of(TASKS_EXTENSION, "test_an_invalid_id_is_invalid_params"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "SHOULD",
        "Servers SHOULD return this error for tasks/update and tasks/cancel.",
        tests=tests_of(TASKS_EXTENSION, "test_an_invalid_id_is_invalid_params"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "MUST",
        "Servers MUST return this error for non-declaring clients requesting task notifications on "
        "subscriptions/listen.",
        tests=tests_of(TASKS_LISTENING, "test_a_client_without_the_extension_is_refused"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "MUST",
        "Servers MUST return this error for non-declaring clients issuing tasks/get, tasks/update, and "
        "tasks/cancel requests.",
        tests=tests_of(TASKS_EXTENSION, "test_a_request_without_the_extension_is_refused_before_its_task_is_looked_up"),
    ),
    Requirement(
        "ext-tasks/draft#protocol-errors",
        "SHOULD",
        "Servers SHOULD provide informative error messages to describe the cause of errors.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_an_invalid_id_is_invalid_params",
            "test_a_response_of_the_wrong_type_is_never_accepted",
        ),
    ),
    Requirement(
        "ext-tasks/draft#task-execution-errors",
        "SHOULD",
        "The tasks/get response SHOULD include a statusMessage field with diagnostic information about the "
        "failure, and MUST include the error field with the JSON-RPC error.",
        tests=tests_of(TASKS_EXTENSION, "test_a_fault_of_the_gateway_or_the_mesh_fails_its_task")
        + tests_of(UNIT_TASK_STATUSES, "test_a_message_is_the_errors_or_the_last_reports"),
    ),
    Requirement(
        "ext-tasks/draft#task-execution-errors",
        "MUST NOT",
        "The failed status MUST NOT be used to represent non-JSON-RPC errors, such as a tool result that "
        "completed with isError: true.",
        tests=tests_of(TASKS_EXTENSION, "test_the_tools_own_error_completes_its_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-execution-errors",
        "MUST",
        "Errors within the context of a protocol method result MUST use the completed status with the error "
        "details in the result field.",
        tests=tests_of(TASKS_EXTENSION, "test_the_tools_own_error_completes_its_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-execution-errors",
        "MUST",
        "If the underlying request resulted in a JSON-RPC error, the task uses failed status and the error "
        "field MUST contain that JSON-RPC error.",
        tests=tests_of(TASKS_EXTENSION, "test_a_fault_of_the_gateway_or_the_mesh_fails_its_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-execution-errors",
        "MUST",
        "If the request completed with a result (even if isError: true for tool results), the task uses "
        "completed status and the result field MUST contain that result.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_the_tools_own_error_completes_its_task",
            "test_a_task_is_seen_working_and_then_with_its_result",
        ),
    ),
    Requirement(
        "ext-tasks/draft#tasks",
        "STATES",
        "Time-to-live duration from creation in integer milliseconds, null for unlimited",
        tests=tests_of(UNIT_TASK_STATUSES, "test_a_task_is_kept_without_limit_until_it_has_ended")
        + tests_of(TASKS_EXTENSION, "test_a_task_is_seen_working_and_then_with_its_result"),
    ),
    Requirement(
        "ext-tasks/draft#security-considerations",
        "MUST",
        "Servers MUST generate them with sufficient entropy that a third party cannot enumerate or guess them.",
        tests=tests_of(IDS, "test_nobody_can_guess_an_id_from_others_of_the_same_moment")
        + tests_of(TASKS_EXTENSION, "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once"),
    ),
    Requirement(
        "ext-tasks/draft#security-considerations",
        "MUST",
        "Servers MUST perform authentication and authorization checks on each task-related request to "
        "ensure that the client has permission to access a task.",
        tests=tests_of(
            IDENTITY_TASKS_OVER_MCP,
            "test_a_foreign_task_of_the_extension_looks_like_none",
            "test_another_caller_changed_nothing",
        )
        + tests_of(
            TASKS_LISTENING,
            "test_tasks_of_others_are_left_out_like_unknown_ones",
            "test_a_lost_right_ends_what_is_told",
        )
        + tests_of(IDENTITY_MATRIX, "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else"),
    ),
)
