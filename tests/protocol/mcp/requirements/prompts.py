"""Prompts of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

CHANGES_ON_REPLICAS = "tests/protocol/mcp/test_changes_on_replicas.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
PROMPTS = "tests/protocol/mcp/test_prompts.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
SUBSCRIBED_CHANGES = "tests/protocol/mcp/test_subscribed_changes.py"
TOOL_SETS = "tests/protocol/mcp/test_tool_sets.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/server/prompts#capabilities",
        "MUST",
        "Servers that support prompts MUST declare the prompts capability in their DiscoverResult:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/prompts#capabilities",
        "MUST",
        "Servers that declare the prompts capability MUST respond to prompts/list requests with the set of "
        "prompts currently available to the requesting client.",
        tests=tests_of(PROMPTS, "test_prompts_are_listed_with_what_the_revision_has")
        + tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/prompts#capabilities",
        "MUST NOT",
        "MUST NOT vary per-connection or as a side effect of other requests on the connection.",
        tests=tests_of(STATELESS_REFUSALS, "test_the_gateway_never_opens_a_session")
        + tests_of(TOOL_SETS, "test_a_set_shows_the_prompts_and_resources_of_its_flows"),
    ),
    Requirement(
        "2026-07-28/server/prompts#list-changed-notification",
        "SHOULD",
        "When the list of available prompts changes, servers that declared the listChanged capability "
        "SHOULD send a notification to clients that have opened a subscriptions/listen stream with "
        "promptsListChanged: true:",
        tests=tests_of(SUBSCRIBED_CHANGES, "test_each_list_is_told_of_by_itself")
        + tests_of(CHANGES_ON_REPLICAS, "test_every_listener_of_another_replica_hears_of_each_list_within_a_second"),
    ),
    Requirement(
        "2026-07-28/server/prompts#listing-prompts",
        "STATES",
        "To retrieve available prompts, clients send a prompts/list request.",
        tests=tests_of(PROMPTS, "test_prompts_are_listed_with_what_the_revision_has"),
    ),
    Requirement(
        "2026-07-28/server/prompts#getting-a-prompt",
        "STATES",
        "To retrieve a specific prompt, clients send a prompts/get request.",
        tests=tests_of(PROMPTS, "test_a_prompt_runs_its_flow_with_its_arguments"),
    ),
    Requirement(
        "2026-07-28/server/prompts#promptmessage",
        "STATES",
        "Messages in a prompt can contain:",
        tests=tests_of(PROMPTS, "test_a_flow_returns_messages_with_blocks_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/server/prompts#image-content",
        "MUST",
        "The image data MUST be base64-encoded and include a valid MIME type.",
        tests=tests_of(PROMPTS, "test_a_flow_returns_messages_with_blocks_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/server/prompts#audio-content",
        "MUST",
        "The audio data MUST be base64-encoded and include a valid MIME type.",
        tests=tests_of(PROMPTS, "test_a_flow_returns_messages_with_blocks_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/server/prompts#embedded-resources",
        "MUST",
        "Resources can contain either text or binary (blob) data and MUST include:",
        tests=tests_of(PROMPTS, "test_a_flow_returns_messages_with_blocks_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/server/prompts#error-handling",
        "SHOULD",
        "Servers SHOULD return standard JSON-RPC errors for common failure cases:",
        tests=tests_of(
            PROMPTS,
            "test_a_wrong_prompt_or_argument_is_invalid_params_and_starts_nothing",
            "test_a_failed_flow_is_an_error_with_its_reason",
        )
        + tests_of(STATELESS_METHODS, "test_an_unknown_prompt_is_invalid_params"),
    ),
    Requirement(
        "2026-07-28/server/prompts#implementation-considerations",
        "SHOULD",
        "Servers SHOULD validate prompt arguments before processing",
        tests=tests_of(PROMPTS, "test_a_wrong_prompt_or_argument_is_invalid_params_and_starts_nothing"),
    ),
    Requirement(
        "2026-07-28/server/prompts#implementation-considerations",
        "SHOULD",
        "Both parties SHOULD respect capability negotiation",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/prompts#security",
        "MUST",
        "Implementations MUST carefully validate all prompt inputs and outputs to prevent injection attacks "
        "or unauthorized access to resources.",
        tests=tests_of(
            PROMPTS,
            "test_a_wrong_prompt_or_argument_is_invalid_params_and_starts_nothing",
            "test_any_result_becomes_messages",
        )
        + tests_of(IDENTITY_MATRIX, "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else"),
    ),
)
