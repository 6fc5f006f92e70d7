"""Completions and log messages of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

HTTP_LIMITS = "tests/integration/http/test_limits.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
LOG_MESSAGES = "tests/protocol/mcp/test_log_messages.py"
PROMPTS = "tests/protocol/mcp/test_prompts.py"
SESSIONS = "tests/protocol/mcp/test_sessions.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_LISTENING = "tests/protocol/mcp/test_tasks_listening.py"
UNIT_TELLING = "tests/unit/mcp/test_telling.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/server/utilities/completion#capabilities",
        "MUST",
        "Servers that support completions MUST declare the completions capability:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#completion-results",
        "STATES",
        "Maximum 100 items per response",
        tests=tests_of(PROMPTS, "test_at_most_a_hundred_values_are_suggested"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#error-handling",
        "SHOULD",
        "Servers SHOULD return standard JSON-RPC errors for common failure cases:",
        tests=tests_of(PROMPTS, "test_completing_what_does_not_exist_is_invalid_params")
        + tests_of(STATELESS_METHODS, "test_a_completion_of_nonsense_is_invalid"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#implementation-considerations",
        "SHOULD",
        "Servers SHOULD: … Return suggestions sorted by relevance",
        tests=tests_of(PROMPTS, "test_arguments_with_a_known_set_of_values_are_completed"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#implementation-considerations",
        "SHOULD",
        "Servers SHOULD: … Validate all inputs",
        tests=tests_of(STATELESS_METHODS, "test_a_completion_of_nonsense_is_invalid"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#implementation-considerations",
        "SHOULD",
        "Servers SHOULD: … Rate limit completion requests",
        tests=tests_of(HTTP_LIMITS, "test_messages_count_not_requests"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#security",
        "MUST",
        "Implementations MUST: … Validate all completion inputs",
        tests=tests_of(STATELESS_METHODS, "test_a_completion_of_nonsense_is_invalid")
        + tests_of(PROMPTS, "test_completing_what_does_not_exist_is_invalid_params"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#security",
        "MUST",
        "Implementations MUST: … Implement appropriate rate limiting",
        tests=tests_of(HTTP_LIMITS, "test_a_caller_has_a_bounded_number_of_open_requests"),
    ),
    Requirement(
        "2026-07-28/server/utilities/completion#security",
        "MUST",
        "Implementations MUST: … Control access to sensitive suggestions … Prevent completion-based "
        "information disclosure",
        tests=tests_of(IDENTITY_MATRIX, "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#capabilities",
        "MUST",
        "Servers that emit log message notifications MUST declare the logging capability:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works")
        + tests_of(SESSIONS, "test_a_session_says_that_lists_change_and_messages_are_logged"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#per-request-log-level",
        "MUST NOT",
        "The server MUST NOT emit notifications/message for a request that does not include this field.",
        tests=tests_of(LOG_MESSAGES, "test_only_that_request_hears_of_them_which_asked"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#per-request-log-level",
        "MUST NOT",
        "notifications/message is request-scoped: the server MUST NOT deliver it on a subscriptions/listen "
        "stream or on any stream other than the one carrying the response to the request that set the log "
        "level.",
        tests=tests_of(LOG_MESSAGES, "test_only_that_request_hears_of_them_which_asked")
        + tests_of(TASKS_LISTENING, "test_progress_never_travels_with_a_subscription"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#error-handling",
        "SHOULD",
        "If the io.modelcontextprotocol/logLevel value carried in a request's _meta is not a recognized log "
        "level, the server SHOULD reject that request with a standard JSON-RPC error:",
        tests=tests_of(STATELESS_REFUSALS, "test_a_broken_envelope_is_400_invalid_params"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#implementation-considerations",
        "SHOULD",
        "Servers SHOULD: … Use consistent logger names",
        tests=tests_of(UNIT_TELLING, "test_above_its_rate_log_messages_are_left_out_and_the_next_one_says_how_many"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#security",
        "MUST NOT",
        "Log messages MUST NOT contain: … Credentials or secrets … Internal system details that could aid attacks",
        deferred="Messages are what actors send; the gateway's own log is never sent to clients.",
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#security",
        "SHOULD",
        "Implementations SHOULD: … Validate all data fields",
        tests=tests_of(LOG_MESSAGES, "test_messages_are_sent_from_the_level_that_the_request_names"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#security",
        "SHOULD",
        "Implementations SHOULD: … Rate limit messages",
        tests=tests_of(UNIT_TELLING, "test_above_its_rate_log_messages_are_left_out_and_the_next_one_says_how_many"),
    ),
    Requirement(
        "2026-07-28/server/utilities/logging#security",
        "SHOULD",
        "Implementations SHOULD: … Control log access",
        tests=tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_extension_looks_like_none")
        + tests_of(LOG_MESSAGES, "test_only_that_request_hears_of_them_which_asked"),
    ),
)
