"""Resources of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

CHANGES_ON_REPLICAS = "tests/protocol/mcp/test_changes_on_replicas.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
OFFERED_FLOWS = "tests/unit/asya_crds/test_offered_flows.py"
RESOURCES = "tests/protocol/mcp/test_resources.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
SUBSCRIBED_CHANGES = "tests/protocol/mcp/test_subscribed_changes.py"
TOOL_SETS = "tests/protocol/mcp/test_tool_sets.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/server/resources#capabilities",
        "MUST",
        "Servers that support resources MUST declare the resources capability:",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/server/resources#capabilities",
        "MUST",
        "Servers that declare the resources capability MUST respond to resources/list requests with the set "
        "of resources currently available to the requesting client.",
        tests=tests_of(RESOURCES, "test_resources_are_listed_with_what_the_revision_has"),
    ),
    Requirement(
        "2026-07-28/server/resources#capabilities",
        "MUST NOT",
        "MUST NOT vary per-connection or as a side effect of other requests on the connection.",
        tests=tests_of(STATELESS_REFUSALS, "test_the_gateway_never_opens_a_session")
        + tests_of(TOOL_SETS, "test_a_set_shows_the_prompts_and_resources_of_its_flows"),
    ),
    Requirement(
        "2026-07-28/server/resources#list-changed-notification",
        "SHOULD",
        "When the list of available resources changes, servers that declared the listChanged capability "
        "SHOULD send a notification:",
        tests=tests_of(SUBSCRIBED_CHANGES, "test_each_list_is_told_of_by_itself")
        + tests_of(CHANGES_ON_REPLICAS, "test_every_listener_of_another_replica_hears_of_each_list_within_a_second"),
    ),
    Requirement(
        "2026-07-28/server/resources#listing-resources",
        "STATES",
        "To discover available resources, clients send a resources/list request.",
        tests=tests_of(RESOURCES, "test_resources_are_listed_with_what_the_revision_has"),
    ),
    Requirement(
        "2026-07-28/server/resources#reading-resources",
        "STATES",
        "To retrieve resource contents, clients send a resources/read request.",
        tests=tests_of(RESOURCES, "test_a_resource_runs_its_flow_and_is_its_result"),
    ),
    Requirement(
        "2026-07-28/server/resources#resource-templates",
        "STATES",
        "Resource templates allow servers to expose parameterized resources using URI templates.",
        tests=tests_of(
            RESOURCES,
            "test_templates_are_listed_and_so_are_those_of_tasks",
            "test_a_templates_variables_are_the_flows_arguments",
        ),
    ),
    Requirement(
        "2026-07-28/server/resources#subscriptions",
        "STATES",
        "The server delivers notifications/resources/updated on the resulting stream whenever a watched "
        "resource changes.",
        tests=tests_of(SUBSCRIBED_CHANGES, "test_a_task_is_told_of_as_often_as_it_changes"),
    ),
    Requirement(
        "2026-07-28/server/resources#https",
        "SHOULD",
        "Servers SHOULD use this scheme only when the client is able to fetch and load the resource "
        "directly from the web on its own",
        deferred="The author of a flow chooses its URI; the gateway's own resources have the scheme asya.",
    ),
    Requirement(
        "2026-07-28/server/resources#custom-uri-schemes",
        "MUST",
        "Custom URI schemes MUST be in accordance with RFC3986",
        tests=tests_of(OFFERED_FLOWS, "test_a_mistake_is_named_with_its_field"),
    ),
    Requirement(
        "2026-07-28/server/resources#error-handling",
        "MUST",
        "If the requested resource does not exist, servers MUST return a JSON-RPC error with code -32602 "
        "(Invalid Params).",
        tests=tests_of(
            RESOURCES,
            "test_a_resource_that_does_not_exist_is_named_in_the_error",
            "test_a_flow_says_that_there_is_no_such_resource",
        )
        + tests_of(STATELESS_METHODS, "test_an_unknown_resource_is_named_in_the_error"),
    ),
    Requirement(
        "2026-07-28/server/resources#error-handling",
        "SHOULD",
        "Servers SHOULD return -32603 for internal errors.",
        tests=tests_of(RESOURCES, "test_a_failed_flow_is_an_error_with_its_reason"),
    ),
    Requirement(
        "2026-07-28/server/resources#error-handling",
        "MUST NOT",
        "Servers MUST NOT return an empty contents array for a non-existent resource.",
        tests=tests_of(
            RESOURCES,
            "test_a_flow_says_that_there_is_no_such_resource",
            "test_a_resource_that_does_not_exist_is_named_in_the_error",
        ),
    ),
    Requirement(
        "2026-07-28/server/resources#security-considerations",
        "MUST",
        "Servers MUST validate all resource URIs",
        tests=tests_of(
            RESOURCES,
            "test_a_resource_that_does_not_exist_is_named_in_the_error",
            "test_variables_that_break_the_flows_schema_are_invalid_params",
        )
        + tests_of(SUBSCRIBED_CHANGES, "test_a_malformed_filter_is_invalid_params"),
    ),
    Requirement(
        "2026-07-28/server/resources#security-considerations",
        "SHOULD",
        "Access controls SHOULD be implemented for sensitive resources",
        tests=tests_of(
            IDENTITY_MATRIX,
            "test_somebody_elses_task_is_no_resource",
            "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else",
        ),
    ),
    Requirement(
        "2026-07-28/server/resources#security-considerations",
        "MUST",
        "Binary data MUST be properly encoded",
        tests=tests_of(RESOURCES, "test_any_result_becomes_contents"),
    ),
    Requirement(
        "2026-07-28/server/resources#security-considerations",
        "SHOULD",
        "Resource permissions SHOULD be checked before operations",
        tests=tests_of(IDENTITY_MATRIX, "test_somebody_elses_task_is_no_resource"),
    ),
    Requirement(
        "2026-07-28/server/resources#security-considerations",
        "MUST",
        "Servers MUST sanitize file paths to prevent directory traversal attacks when serving file:// resources",
        deferred="The gateway reads no files: a resource is the result of a flow.",
    ),
)
