"""The tasks extension, io.modelcontextprotocol/tasks."""

from tests.support.requirements import Requirement, tests_of

HTTP_INPUTS = "tests/integration/http/test_inputs.py"
INPUTS = "tests/protocol/mcp/test_inputs.py"
INTEGRATION_STORAGE_INPUTS = "tests/integration/storage/test_inputs.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
TASKS_OUTAGES = "tests/protocol/mcp/test_tasks_outages.py"
UNIT_CAPABILITIES = "tests/unit/mcp/test_capabilities.py"
UNIT_FORMS = "tests/unit/mcp/test_forms.py"

REQUIREMENTS = (
    Requirement(
        "ext-tasks/draft#capability-negotiation",
        "STATES",
        "an empty object indicates support",
        tests=tests_of(TASKS_EXTENSION, "test_the_extension_is_declared_and_the_older_capability_is_not"),
    ),
    Requirement(
        "ext-tasks/draft#capability-negotiation",
        "STATES",
        "The server is the sole decider",
        tests=tests_of(
            TASKS_EXTENSION, "test_a_fast_call_is_answered_with_its_result", "test_a_flow_may_never_be_a_task"
        ),
    ),
    Requirement(
        "ext-tasks/draft#capability-negotiation",
        "MUST NOT",
        "A server MUST NOT return CreateTaskResult to a client that did not include the extension "
        "capability on its request, regardless of prior declarations.",
        tests=tests_of(TASKS_EXTENSION, "test_a_client_without_the_extension_gets_the_result")
        + tests_of(UNIT_CAPABILITIES, "test_tasks_are_declared_by_the_extension_alone"),
    ),
    Requirement(
        "ext-tasks/draft#capability-negotiation",
        "MUST",
        "If a server is unable to service a request to a client that does not declare this extension "
        "capability without returning CreateTaskResult, the server MUST return an error with the code "
        "-32021",
        tests=tests_of(TASKS_EXTENSION, "test_a_flow_may_require_tasks"),
    ),
    Requirement(
        "ext-tasks/draft#supported-methods",
        "SHOULD",
        "implementations SHOULD be designed to accommodate additional request types in future revisions of "
        "this specification.",
        deferred="A matter of design: a task belongs to a call, whichever method made it.",
    ),
    Requirement(
        "ext-tasks/draft#polymorphic-results",
        "MUST",
        'Servers MUST set resultType to "task" when returning a CreateTaskResult',
        tests=tests_of(TASKS_EXTENSION, "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once"),
    ),
    Requirement(
        "ext-tasks/draft#polymorphic-results",
        "MUST NOT",
        'Servers MUST NOT set resultType to "task" on result types other than CreateTaskResult.',
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_task_is_seen_working_and_then_with_its_result",
            "test_a_canceled_task_is_cancelled_at_once_and_stays_so",
            "test_a_client_without_the_extension_gets_the_result",
        ),
    ),
    Requirement(
        "ext-tasks/draft#task-status",
        "MUST NOT",
        "This status MUST NOT be used for non-JSON-RPC errors.",
        tests=tests_of(TASKS_EXTENSION, "test_the_tools_own_error_completes_its_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-creation",
        "MUST NOT",
        "A server MUST NOT return CreateTaskResult until the task is durably created — that is, until a "
        "tasks/get for the returned taskId would resolve.",
        tests=tests_of(TASKS_EXTENSION, "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once")
        + tests_of(TASKS_OUTAGES, "test_a_handle_that_falls_into_an_outage_is_given_after_it"),
    ),
    Requirement(
        "ext-tasks/draft#task-creation",
        "MUST",
        "In eventually-consistent environments, the server MUST wait for consistency before responding.",
        tests=tests_of(TASKS_EXTENSION, "test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once"),
    ),
    Requirement(
        "ext-tasks/draft#task-creation",
        "SHOULD",
        "SHOULD resolve all MRTR exchanges synchronously before responding with a CreateTaskResult.",
        tests=tests_of(
            INPUTS,
            "test_the_answers_reach_the_flow_under_the_input_key",
            "test_rounds_follow_one_another_and_quote_earlier_answers",
        ),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "Upon receiving a tasks/get request, the server MUST check the status of the task and respond accordingly:",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_task_is_seen_working_and_then_with_its_result",
            "test_a_canceled_task_is_cancelled_at_once_and_stays_so",
            "test_a_fault_of_the_gateway_or_the_mesh_fails_its_task",
        ),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "If the status is working, the server MUST return a a Task object with status working.",
        tests=tests_of(TASKS_EXTENSION, "test_a_task_is_seen_working_and_then_with_its_result"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "If the status is input_required, the server MUST return a Task object with status input_required "
        "and an inputRequests field",
        tests=tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "The inputRequests field MUST contain all outstanding requests from the server to the client that "
        "need to be fulfilled before the task can proceed.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it",
            "test_inputs_are_answered_in_parts_and_vanish_at_once",
        )
        + tests_of(UNIT_FORMS, "test_every_open_question_is_asked_or_noted"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "If the status is completed, the server MUST return a Task object with status completed and a "
        "result field containing the final result of the task.",
        tests=tests_of(TASKS_EXTENSION, "test_a_task_is_seen_working_and_then_with_its_result"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "If the status is cancelled, the server MUST return a Task object with status cancelled.",
        tests=tests_of(TASKS_EXTENSION, "test_a_canceled_task_is_cancelled_at_once_and_stays_so"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "If the status is failed, the server MUST return a Task object with status failed and the error "
        "that occurred during execution.",
        tests=tests_of(TASKS_EXTENSION, "test_a_fault_of_the_gateway_or_the_mesh_fails_its_task"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        'The resultType field MUST be set to "complete" on this object as it is the standard result shape '
        "for the tasks/get request.",
        tests=tests_of(TASKS_EXTENSION, "test_a_task_is_seen_working_and_then_with_its_result"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        "On success, the server MUST acknowledge the request with an empty result.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it",
            "test_a_canceled_task_is_cancelled_at_once_and_stays_so",
        ),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "SHOULD",
        "Servers SHOULD return a JSON-RPC error if the taskId does not correspond to a known task.",
        tests=tests_of(TASKS_EXTENSION, "test_an_invalid_id_is_invalid_params"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "SHOULD",
        "A server SHOULD ignore any inputResponses responses mapped to a key that is not currently "
        "outstanding for the task — including keys that were never issued, keys that have already been "
        "answered, and keys whose corresponding request has been superseded.",
        tests=tests_of(TASKS_EXTENSION, "test_inputs_are_answered_in_parts_and_vanish_at_once")
        + tests_of(TASKS_OUTAGES, "test_answers_that_race_make_one_task_go_on_once"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        'The resultType field MUST be set to "complete" on UpdateTaskResult as it is the standard result '
        "shape for the tasks/update request.",
        tests=tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MUST",
        'The resultType field MUST be set to "complete" on CancelTaskResult as it is the standard result '
        "shape for the tasks/cancel request.",
        tests=tests_of(TASKS_EXTENSION, "test_a_canceled_task_is_cancelled_at_once_and_stays_so"),
    ),
    Requirement(
        "ext-tasks/draft#response",
        "MAY",
        "A server MAY accept a partial set of responses",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_inputs_are_answered_in_parts_and_vanish_at_once",
            "test_one_wrong_response_keeps_the_others_open",
        ),
    ),
    Requirement(
        "ext-tasks/draft#task-update-requests",
        "MUST",
        "Each request key in inputRequests MUST be unique over the lifetime of a single task.",
        tests=tests_of(INTEGRATION_STORAGE_INPUTS, "test_a_later_pause_may_not_use_a_key_again_and_changes_nothing")
        + tests_of(HTTP_INPUTS, "TestSeveralInputs::test_a_pause_that_uses_a_key_again_fails_the_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-update-requests",
        "MUST NOT",
        "A server MUST NOT reuse a key for a subsequent server-to-client request after a response for that "
        "key has been delivered, and MUST NOT use the same key to refer to two distinct requests over a "
        "task's lifetime.",
        tests=tests_of(INTEGRATION_STORAGE_INPUTS, "test_a_later_pause_may_not_use_a_key_again_and_changes_nothing")
        + tests_of(HTTP_INPUTS, "TestSeveralInputs::test_a_pause_that_uses_a_key_again_fails_the_task"),
    ),
    Requirement(
        "ext-tasks/draft#task-cancellation",
        "MUST NOT",
        "The notifications/cancelled notification MUST NOT be used for task cancellation.",
        tests=tests_of(TASKS_EXTENSION, "test_a_canceled_task_is_cancelled_at_once_and_stays_so")
        + tests_of(STATELESS_REFUSALS, "test_a_notification_is_202_without_a_body"),
    ),
)
