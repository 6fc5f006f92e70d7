"""Subscriptions, cancellation and progress of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
IDENTITY_SUBSCRIPTIONS = "tests/protocol/identity/test_subscriptions.py"
PROMPTS = "tests/protocol/mcp/test_prompts.py"
QUIET_CALLS = "tests/protocol/mcp/test_quiet_calls.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
SUBSCRIBED_CHANGES = "tests/protocol/mcp/test_subscribed_changes.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
TASKS_LISTENING = "tests/protocol/mcp/test_tasks_listening.py"
TASKS_OUTAGES = "tests/protocol/mcp/test_tasks_outages.py"
UNIT_MESSAGES = "tests/unit/mcp/test_mcp_messages.py"
UNIT_PROGRESS = "tests/unit/mcp/test_mcp_progress.py"
UNIT_TELLING = "tests/unit/mcp/test_telling.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/patterns/subscriptions#opening-a-stream",
        "MUST NOT",
        "The server MUST NOT send notification types the client has not explicitly requested.",
        tests=tests_of(STATELESS_METHODS, "test_a_subscription_to_nothing_hears_nothing")
        + tests_of(SUBSCRIBED_CHANGES, "test_each_list_is_told_of_by_itself", "test_only_what_was_asked_for_is_told"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/subscriptions#acknowledgment",
        "MUST",
        "The server MUST send notifications/subscriptions/acknowledged as the first message carrying the "
        "subscription's ID in _meta … and MUST NOT send any notification on the subscription before it.",
        tests=tests_of(STATELESS_METHODS, "test_a_subscription_is_acknowledged_first_and_hears_of_changed_tools")
        + tests_of(TASKS_LISTENING, "test_each_notification_is_what_a_poll_would_have_answered"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/subscriptions#acknowledgment",
        "STATES",
        "The notifications field in the acknowledgment reflects the subset the server agreed to honor.",
        tests=tests_of(SUBSCRIBED_CHANGES, "test_only_resources_that_can_change_are_honoured")
        + tests_of(TASKS_LISTENING, "test_unknown_tasks_are_left_out_of_the_acknowledgement"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/subscriptions#cancellation",
        "SHOULD",
        "The server tears it down (e.g., during shutdown) — it SHOULD send a successful "
        "subscriptions/listen response to signal a graceful end",
        tests=tests_of(CALLS, "test_a_subscription_ends_with_its_result_when_the_pod_drains"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/subscriptions#graceful-closure",
        "SHOULD",
        "it SHOULD respond to the original subscriptions/listen request with a completion result before "
        "closing the stream.",
        tests=tests_of(CALLS, "test_a_subscription_ends_with_its_result_when_the_pod_drains")
        + tests_of(TASKS_OUTAGES, "test_a_replica_that_ends_sends_its_clients_to_another")
        + tests_of(IDENTITY_SUBSCRIPTIONS, "test_a_credential_that_is_no_longer_good_ends_its_subscription"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation",
        "MUST",
        "A server MUST send notifications/cancelled referencing a subscriptions/listen request ID when it "
        "tears down that subscription stream",
        deferred=(
            'The specification contradicts itself here: subscriptions, "Graceful Closure", asks for the result of '
            "the request, cancellation for this notification. The gateway sends the result, as both official SDKs "
            "do: their clients take the notification for a loss, and the result for an end."
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation",
        "MUST NOT",
        "Servers MUST NOT send notifications/cancelled for any other purpose.",
        tests=tests_of(
            CALLS,
            "test_a_subscription_ends_with_its_result_when_the_pod_drains",
            "test_closing_the_stream_cancels_the_task",
        )
        + tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#transport-specific-cancellation",
        "MUST",
        "The server MUST treat a client disconnect as cancellation of that request.",
        tests=tests_of(
            CALLS,
            "test_closing_the_stream_cancels_the_task",
            "test_leaving_a_call_that_waits_for_json_cancels_the_task",
            "test_leaving_while_the_call_is_being_stored_cancels_the_task",
        )
        + tests_of(PROMPTS, "test_leaving_a_prompt_cancels_its_task_in_the_stateless_revision"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#timeouts",
        "SHOULD",
        "However, implementations SHOULD always enforce a maximum timeout, regardless of progress "
        "notifications, to limit the impact of a misbehaving client or server.",
        tests=tests_of(
            CALLS,
            "test_a_call_whose_wait_is_over_says_that_the_task_continues",
            "test_a_task_past_its_deadline_is_an_internal_error",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#behavior-requirements",
        "SHOULD",
        "Servers receiving cancellation notifications SHOULD: … Stop processing the cancelled request",
        deferred=(
            "Over stateless HTTP the notification names no request that could be told from another client's; "
            "closing the stream cancels."
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#behavior-requirements",
        "MUST",
        "Server-sent cancellation notifications MUST reference a subscriptions/listen request, to terminate "
        "that subscription stream",
        deferred="None are sent: a subscription ends with its result, and every other stream with its response.",
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#timing-considerations",
        "MUST",
        "Both parties MUST handle these race conditions gracefully:",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_task_that_has_ended_is_acknowledged_and_not_changed",
            "test_leaving_before_the_handle_cancels_and_leaving_later_does_not",
        )
        + tests_of(CALLS, "test_closing_the_stream_cancels_the_task"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/cancellation#error-handling",
        "SHOULD",
        "Invalid cancellation notifications SHOULD be ignored:",
        tests=tests_of(STATELESS_REFUSALS, "test_a_notification_is_202_without_a_body"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#progress-flow",
        "MUST",
        "Progress tokens MUST be a string or integer value",
        tests=tests_of(STATELESS_REFUSALS, "test_a_broken_envelope_is_400_invalid_params"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#progress-flow",
        "MUST",
        "The progress value MUST increase with each notification, even if the total is unknown.",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer")
        + tests_of(QUIET_CALLS, "test_a_quiet_call_goes_on_with_progress")
        + tests_of(UNIT_MESSAGES, "test_progress_increases_strictly_whatever_the_log_says")
        + tests_of(UNIT_PROGRESS, "test_progress_is_complete_only_at_the_end"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#progress-flow",
        "SHOULD",
        "The message field SHOULD provide relevant human readable progress information.",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#behavior-requirements",
        "MUST",
        "Progress notifications MUST only reference tokens that: … Were provided in an active request",
        tests=tests_of(
            CALLS, "test_without_a_token_there_is_no_progress", "test_the_stream_carries_progress_and_then_the_answer"
        )
        + tests_of(PROMPTS, "test_progress_of_a_prompt_travels_on_its_own_stream"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#implementation-notes",
        "SHOULD",
        "Clients and servers SHOULD track active progress tokens",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#implementation-notes",
        "SHOULD",
        "Both parties SHOULD implement rate limiting to prevent flooding",
        tests=tests_of(
            UNIT_TELLING,
            "test_above_its_rate_the_texts_of_a_call_are_joined_and_none_is_lost",
            "test_above_its_rate_the_newest_report_takes_the_place_of_earlier_ones",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/progress#implementation-notes",
        "MUST",
        "Progress notifications MUST stop after completion",
        tests=tests_of(CALLS, "test_the_stream_carries_progress_and_then_the_answer")
        + tests_of(TASKS_EXTENSION, "test_progress_is_told_until_the_handle"),
    ),
)
