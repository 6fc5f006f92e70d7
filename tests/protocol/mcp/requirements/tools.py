"""Tools of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

ARGUMENT_CHECKS = "tests/unit/registry/test_argument_checks.py"
CALLS = "tests/protocol/mcp/test_calls.py"
CHANGES_ON_REPLICAS = "tests/protocol/mcp/test_changes_on_replicas.py"
CRD_FILES = "tests/unit/asya_crds/test_crd_files.py"
HTTP_LIMITS = "tests/integration/http/test_limits.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_SUBSCRIPTIONS = "tests/protocol/identity/test_subscriptions.py"
INPUTS_WITH_ARGUMENTS = "tests/protocol/mcp/test_inputs_with_arguments.py"
LARGE_RESULTS = "tests/protocol/mcp/test_large_results.py"
OAUTH_WHOLE_GATEWAY = "tests/protocol/oauth/test_whole_gateway.py"
READING_FLOWS = "tests/unit/registry/test_reading_flows.py"
SDK_CLIENT = "tests/protocol/mcp/test_sdk_client.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
SUBSCRIBED_CHANGES = "tests/protocol/mcp/test_subscribed_changes.py"
TASK_TOOLS = "tests/protocol/mcp/test_task_tools.py"
TOOL_SETS = "tests/protocol/mcp/test_tool_sets.py"
UNIT_RENDERING = "tests/unit/mcp/test_mcp_rendering.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/server/tools#capabilities",
        "MUST",
        "Servers that support tools MUST declare the tools capability:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/tools#capabilities",
        "MUST",
        "Servers that declare the tools capability MUST respond to tools/list requests with the set of "
        "tools currently available to the requesting client.",
        tests=tests_of(
            STATELESS_METHODS,
            "test_every_declared_capability_works",
            "test_a_tool_shows_its_title_annotations_and_schemas_as_written",
        )
        + tests_of(IDENTITY_SUBSCRIPTIONS, "test_a_change_of_tools_is_heard_by_those_who_see_them"),
    ),
    Requirement(
        "2026-07-28/server/tools#capabilities",
        "MUST NOT",
        "MUST NOT vary per-connection or as a side effect of other requests on the connection.",
        tests=tests_of(STATELESS_REFUSALS, "test_the_gateway_never_opens_a_session")
        + tests_of(TOOL_SETS, "test_a_set_shows_a_caller_only_what_it_sees_at_all"),
    ),
    Requirement(
        "2026-07-28/server/tools#capabilities",
        "SHOULD",
        "Servers SHOULD return tools in a deterministic order",
        tests=tests_of(STATELESS_METHODS, "test_lists_come_in_the_same_order_and_in_pages"),
    ),
    Requirement(
        "2026-07-28/server/tools#list-changed-notification",
        "SHOULD",
        "When the list of available tools changes, servers that declared the listChanged capability SHOULD "
        "send a notification to clients that have opened a subscriptions/listen stream with "
        "toolsListChanged: true:",
        tests=tests_of(STATELESS_METHODS, "test_a_subscription_is_acknowledged_first_and_hears_of_changed_tools")
        + tests_of(SUBSCRIBED_CHANGES, "test_each_list_is_told_of_by_itself")
        + tests_of(SDK_CLIENT, "test_a_client_without_a_handshake_hears_when_the_tools_change")
        + tests_of(CHANGES_ON_REPLICAS, "test_every_listener_of_another_replica_hears_of_each_list_within_a_second"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool",
        "MUST",
        "MUST be a valid JSON Schema object (not null)",
        tests=tests_of(STATELESS_METHODS, "test_a_tool_shows_its_title_annotations_and_schemas_as_written")
        + tests_of(ARGUMENT_CHECKS, "test_what_is_no_schema_is_refused"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool-names",
        "SHOULD",
        "Tool names SHOULD be between 1 and 128 characters in length (inclusive).",
        tests=tests_of(CRD_FILES, "test_both_sides_agree_on_what_is_a_flow_name"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool-names",
        "SHOULD",
        "Tool names SHOULD be considered case-sensitive.",
        tests=tests_of(STATELESS_REFUSALS, "test_headers_that_differ_from_the_body_are_a_mismatch"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool-names",
        "SHOULD",
        "The following SHOULD be the only allowed characters:",
        tests=tests_of(CRD_FILES, "test_both_sides_agree_on_what_is_a_flow_name"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool-names",
        "SHOULD NOT",
        "Tool names SHOULD NOT contain spaces, commas, or other special characters.",
        tests=tests_of(CRD_FILES, "test_both_sides_agree_on_what_is_a_flow_name"),
    ),
    Requirement(
        "2026-07-28/server/tools#tool-names",
        "SHOULD",
        "Tool names SHOULD be unique within a server.",
        tests=tests_of(
            READING_FLOWS, "test_all_keys_are_merged_in_the_order_of_their_names_and_the_first_of_a_name_wins"
        )
        + tests_of(TASK_TOOLS, "test_a_flow_of_the_same_name_gives_way"),
    ),
    Requirement(
        "2026-07-28/server/tools#x-mcp-header",
        "SHOULD NOT",
        "Server developers SHOULD NOT mark sensitive parameters (passwords, API keys, tokens, PII) with x-mcp-header",
        deferred="The author of a flow decides which of its parameters are sensitive.",
    ),
    Requirement(
        "2026-07-28/server/tools#tool-result",
        "STATES",
        "Tool results may contain structured or unstructured content.",
        tests=tests_of(CALLS, "test_a_flow_may_answer_in_content_blocks"),
    ),
    Requirement(
        "2026-07-28/server/tools#resource-links",
        "MAY",
        "A tool MAY return links to Resources, to provide additional context or data.",
        tests=tests_of(LARGE_RESULTS, "test_a_large_result_is_a_preview_and_a_link_to_the_whole"),
    ),
    Requirement(
        "2026-07-28/server/tools#embedded-resources",
        "SHOULD",
        "Servers that use embedded resources SHOULD implement the resources capability:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/tools#structured-content",
        "SHOULD",
        "For backwards compatibility, a tool that returns structured content SHOULD also return the "
        "serialized JSON in a TextContent block.",
        tests=tests_of(CALLS, "test_any_value_comes_as_text_and_as_itself")
        + tests_of(UNIT_RENDERING, "test_any_value_becomes_a_result_of_the_revision"),
    ),
    Requirement(
        "2026-07-28/server/tools#output-schema",
        "MUST",
        "Servers MUST provide structured results that conform to this schema.",
        tests=tests_of(
            SDK_CLIENT,
            "test_a_result_that_breaks_the_output_schema_is_an_error_that_says_so_and_shows_it",
            "test_a_result_that_keeps_the_output_schema_is_structured",
            "test_any_value_is_held_against_its_schema_where_the_revision_carries_it",
        )
        + tests_of(
            UNIT_RENDERING,
            "test_null_is_structured_where_the_schema_admits_it",
            "test_the_other_process_holds_a_result_against_its_schema_as_this_one_does",
        ),
    ),
    Requirement(
        "2026-07-28/server/tools#error-handling",
        "STATES",
        "Protocol Errors indicate issues with the request structure itself",
        tests=tests_of(
            STATELESS_REFUSALS, "test_a_malformed_call_is_invalid_params", "test_a_flow_that_is_no_tool_is_unknown"
        )
        + tests_of(CALLS, "test_a_failure_of_the_runtime_is_an_internal_error_that_names_the_task"),
    ),
    Requirement(
        "2026-07-28/server/tools#error-handling",
        "STATES",
        "Tool Execution Errors contain actionable feedback that language models can use to self-correct",
        tests=tests_of(
            CALLS, "test_every_violation_of_the_schema_is_listed_with_its_path", "test_an_actors_error_is_the_tools_own"
        )
        + tests_of(INPUTS_WITH_ARGUMENTS, "test_a_call_without_them_is_told_what_is_missing_and_in_which_form"),
    ),
    Requirement(
        "2026-07-28/server/tools#security-considerations",
        "MUST",
        "Servers MUST: … Validate all tool inputs",
        tests=tests_of(CALLS, "test_every_violation_of_the_schema_is_listed_with_its_path"),
    ),
    Requirement(
        "2026-07-28/server/tools#security-considerations",
        "MUST",
        "Servers MUST: … Implement proper access controls",
        tests=tests_of(IDENTITY_MATRIX, "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else")
        + tests_of(OAUTH_WHOLE_GATEWAY, "test_scopes_are_enforced"),
    ),
    Requirement(
        "2026-07-28/server/tools#security-considerations",
        "MUST",
        "Servers MUST: … Rate limit tool invocations",
        tests=tests_of(
            HTTP_LIMITS,
            "test_a_caller_beyond_its_rate_gets_429_and_others_do_not",
            "test_a_flow_beyond_its_rate_gets_429_whoever_calls_it",
        ),
    ),
    Requirement(
        "2026-07-28/server/tools#security-considerations",
        "MUST",
        "Servers MUST: … Sanitize tool outputs",
        tests=tests_of(UNIT_RENDERING, "test_any_value_becomes_a_result_of_the_revision")
        + tests_of(CALLS, "test_a_failure_of_the_runtime_is_an_internal_error_that_names_the_task"),
    ),
)
