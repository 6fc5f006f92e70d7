"""Sending, looking at and canceling (sections 3.1.1, 3.1.3, 3.1.5, 3.2, 3.3)."""

from tests.support.requirements import Requirement, tests_of

READING = "tests/protocol/a2a/test_reading.py"
SPECIFICATION = "v1.0.1/specification"
TASKS = "tests/protocol/a2a/test_tasks.py"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#311-send-message",
        "MUST",
        "The operation MUST return immediately with either task information or response message.",
        tests=tests_of(TASKS, "test_a_send_that_returns_at_once_is_looked_at_later"),
    ),
    Requirement(
        f"{SPECIFICATION}#311-send-message",
        "STATES",
        "Message: A direct response message (for simple interactions that don't require task tracking)",
        tests=tests_of(
            "tests/protocol/a2a/test_direct_messages.py",
            "test_the_result_is_a_message_of_the_context_and_its_task_is_unknown",
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#311-send-message",
        "STATES",
        "A Media Type provided in the request's message parts is not supported by the agent.",
        tests=tests_of(TASKS, "test_a_media_type_that_the_skill_does_not_take_is_refused"),
    ),
    Requirement(
        f"{SPECIFICATION}#311-send-message",
        "STATES",
        "Messages sent to Tasks that are in a terminal state … cannot accept further messages.",
        tests=tests_of(TASKS, "test_a_task_that_has_ended_takes_no_message_and_cannot_be_canceled"),
    ),
    Requirement(
        f"{SPECIFICATION}#322-sendmessageconfiguration",
        "MUST",
        "The operation MUST wait until the task reaches a terminal state … or an interrupted state … before returning.",
        tests=tests_of(
            TASKS,
            "test_a_blocking_send_returns_the_finished_task_with_its_artifact",
            "test_a_question_is_answered_by_a_message_and_the_task_goes_on",
        )
        + tests_of(
            "tests/protocol/a2a/test_authorizing.py",
            "test_a_blocking_send_returns_when_the_task_asks_to_sign_in",
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#322-sendmessageconfiguration",
        "MUST",
        "The response MUST include the latest task state with all artifacts and status information.",
        tests=tests_of(TASKS, "test_a_blocking_send_returns_the_finished_task_with_its_artifact"),
    ),
    Requirement(
        f"{SPECIFICATION}#322-sendmessageconfiguration",
        "MUST",
        "The operation MUST return immediately after creating the task, even if processing is still in progress.",
        tests=tests_of(
            TASKS,
            "test_a_send_that_returns_at_once_is_looked_at_later",
            "test_what_a_send_returns_at_once_is_the_task_as_it_is_stored",
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#324-history-length-semantics",
        "SHOULD",
        "No history should be returned; the history field SHOULD be omitted",
        tests=tests_of(READING, "test_the_history_has_the_newest_messages_up_to_its_length"),
    ),
    Requirement(
        f"{SPECIFICATION}#324-history-length-semantics",
        "STATES",
        "Return at most this many recent messages from the task's history",
        tests=tests_of(READING, "test_the_history_has_the_newest_messages_up_to_its_length"),
    ),
    Requirement(
        "v1.0.1/definitions#SendMessageConfiguration",
        "MUST NOT",
        "The server MUST NOT return more messages than the provided value, but MAY apply a lower limit.",
        tests=tests_of(READING, "test_the_history_has_the_newest_messages_up_to_its_length"),
    ),
    Requirement(
        "v1.0.1/definitions#SendMessageConfiguration",
        "SHOULD",
        "A list of media types the client is prepared to accept for response parts. Agents SHOULD use this to tailor "
        "their output.",
        tests=tests_of(TASKS, "test_an_actor_is_told_which_media_types_the_client_accepts"),
    ),
    Requirement(
        f"{SPECIFICATION}#315-cancel-task",
        "STATES",
        "The task is not in a cancelable state (e.g., already completed, failed, or canceled).",
        tests=tests_of(TASKS, "test_a_task_that_has_ended_takes_no_message_and_cannot_be_canceled"),
    ),
    Requirement(
        f"{SPECIFICATION}#331-idempotency",
        "MAY",
        "Send Message operations MAY be idempotent.",
        tests=tests_of(TASKS, "test_a_repeated_key_is_the_same_task_whatever_the_message_is_called"),
    ),
)
