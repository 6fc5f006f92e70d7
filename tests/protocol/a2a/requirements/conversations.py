"""Contexts, tasks and several turns (sections 3.4, 3.7)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
TASKS = "tests/protocol/a2a/test_tasks.py"
CONTEXTS = tests_of(TASKS, "test_a_clients_context_comes_back_and_is_another_ones_inside")
OWN_IDS = tests_of("tests/protocol/a2a/test_reading.py", "test_every_task_has_an_id_of_its_own")
QUESTION = tests_of(TASKS, "test_a_question_is_answered_by_a_message_and_the_task_goes_on")
UNKNOWN = tests_of(TASKS, "test_a_task_that_is_unknown_is_not_found_in_every_method")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#341-context-identifier-semantics",
        "MUST",
        "If an agent generates a new contextId, it MUST be included in the response (either Task or Message)",
        tests=OWN_IDS,
    ),
    Requirement(
        f"{SPECIFICATION}#341-context-identifier-semantics",
        "MAY",
        "Agents MAY accept and preserve client-provided contextId values",
        tests=CONTEXTS,
    ),
    Requirement(
        f"{SPECIFICATION}#341-context-identifier-semantics",
        "MUST",
        "If an agent cannot accept a client-provided contextId, it MUST reject the request with an error and MUST NOT "
        "generate a new contextId for the response",
        tests=(*CONTEXTS, *QUESTION),
    ),
    Requirement(
        f"{SPECIFICATION}#341-context-identifier-semantics",
        "SHOULD",
        "All tasks and messages with the same contextId SHOULD be treated as part of the same conversational session",
        tests=CONTEXTS,
    ),
    Requirement(
        f"{SPECIFICATION}#341-context-identifier-semantics",
        "SHOULD",
        "Agents MAY implement context expiration or cleanup policies and SHOULD document any such policies",
        deferred="A context lives as long as its tasks, whose retention docs/operations.md describes.",
    ),
    Requirement(
        f"{SPECIFICATION}#342-task-identifier-semantics",
        "MUST",
        "Agents MUST generate a unique taskId for each new task they create",
        tests=OWN_IDS,
    ),
    Requirement(
        f"{SPECIFICATION}#342-task-identifier-semantics",
        "MUST",
        "The generated taskId MUST be included in the Task object returned to the client",
        tests=OWN_IDS,
    ),
    Requirement(
        f"{SPECIFICATION}#342-task-identifier-semantics",
        "MUST",
        "Agents MUST return a TaskNotFoundError if the provided taskId does not correspond to an existing task",
        tests=UNKNOWN,
    ),
    Requirement(
        f"{SPECIFICATION}#343-multi-turn-conversation-patterns",
        "MUST",
        "Agents MUST infer contextId from the task if only taskId is provided",
        tests=QUESTION,
    ),
    Requirement(
        f"{SPECIFICATION}#343-multi-turn-conversation-patterns",
        "MUST",
        "Agents MUST reject messages containing mismatching contextId and taskId (i.e., the provided contextId is "
        "different from that of the referenced Task).",
        tests=QUESTION,
    ),
    Requirement(
        f"{SPECIFICATION}#343-multi-turn-conversation-patterns",
        "STATES",
        "The client continues the interaction by sending a new message with the same taskId and contextId",
        tests=QUESTION,
    ),
    Requirement(
        f"{SPECIFICATION}#343-multi-turn-conversation-patterns",
        "SHOULD",
        "Agents SHOULD use referenced tasks to understand the context and intent of follow-up requests",
        # Actors understand, not the gateway, which hands them the references to the caller's tasks.
        tests=tests_of(TASKS, "test_a_message_that_refines_hands_its_references_on_all_looked_up_at_once"),
    ),
    Requirement(
        f"{SPECIFICATION}#343-multi-turn-conversation-patterns",
        "SHOULD",
        "Agents SHOULD leverage the shared contextId to provide contextually relevant responses",
        tests=CONTEXTS,
    ),
    Requirement(
        f"{SPECIFICATION}#37-messages-and-artifacts",
        "SHOULD NOT",
        "Messages SHOULD NOT be used to deliver task outputs.",
        tests=tests_of(TASKS, "test_a_blocking_send_returns_the_finished_task_with_its_artifact"),
    ),
    Requirement(
        f"{SPECIFICATION}#37-messages-and-artifacts",
        "SHOULD",
        "Results SHOULD BE returned using Artifacts associated with a Task.",
        tests=tests_of(TASKS, "test_a_blocking_send_returns_the_finished_task_with_its_artifact"),
    ),
    Requirement(
        f"{SPECIFICATION}#37-messages-and-artifacts",
        "MUST NOT",
        "Messages MUST NOT be considered a reliable delivery mechanism for critical information.",
        tests=tests_of(TASKS, "test_an_actor_may_reject_fail_and_return_parts"),
    ),
)
