"""JSON Schema, `_meta`, versions, discovery, caching and pagination of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

ARGUMENT_CHECKS = "tests/unit/registry/test_argument_checks.py"
CALLS = "tests/protocol/mcp/test_calls.py"
DECODERS = "tests/unit/http/test_decoders.py"
FLOWS_PAGE = "tests/docs/test_flows_page.py"
IDEMPOTENCY = "tests/protocol/mcp/test_idempotency.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
INPUTS = "tests/protocol/mcp/test_inputs.py"
OFFERED_FLOWS = "tests/unit/asya_crds/test_offered_flows.py"
ONE_CHECKER = "tests/unit/registry/test_one_checker.py"
SCHEMA_RULES = "tests/unit/registry/test_schema_rules.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
TASKS_LISTENING = "tests/protocol/mcp/test_tasks_listening.py"
UNIT_CAPABILITIES = "tests/unit/mcp/test_capabilities.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/index#schema-dialect",
        "SHOULD",
        "Implementations MUST support at least 2020-12 and SHOULD document which additional dialects they support",
        tests=tests_of(OFFERED_FLOWS, "test_a_schema_that_clients_would_drop_is_refused_at_registration")
        + tests_of(SCHEMA_RULES, "test_an_ordinary_schema_passes"),
    ),
    Requirement(
        "2026-07-28/basic/index#implementation-requirements",
        "MUST",
        "Clients and servers MUST support JSON Schema 2020-12 for schemas without an explicit $schema field",
        tests=tests_of(ARGUMENT_CHECKS, "test_agrees_with_the_reference_implementation")
        + tests_of(CALLS, "test_every_violation_of_the_schema_is_listed_with_its_path"),
    ),
    Requirement(
        "2026-07-28/basic/index#implementation-requirements",
        "MUST",
        "Clients and servers MUST validate schemas according to their declared or default dialect.",
        tests=tests_of(ARGUMENT_CHECKS, "test_what_is_no_schema_is_refused")
        + tests_of(OFFERED_FLOWS, "test_a_schema_that_clients_would_drop_is_refused_at_registration"),
    ),
    Requirement(
        "2026-07-28/basic/index#implementation-requirements",
        "MUST",
        "They MUST handle unsupported dialects gracefully by returning an appropriate error indicating the "
        "dialect is not supported.",
        tests=tests_of(OFFERED_FLOWS, "test_a_schema_that_clients_would_drop_is_refused_at_registration"),
    ),
    Requirement(
        "2026-07-28/basic/index#implementation-requirements",
        "SHOULD",
        "Clients and servers SHOULD document which schema dialects they support",
        tests=tests_of(FLOWS_PAGE, "test_the_page_says_which_dialect_schemas_have"),
    ),
    Requirement(
        "2026-07-28/basic/index#schema-validation",
        "MUST",
        "Schemas MUST be valid according to their declared or default dialect",
        tests=tests_of(ARGUMENT_CHECKS, "test_what_is_no_schema_is_refused")
        + tests_of(ONE_CHECKER, "test_the_operator_accepts_no_schema_that_gateways_leave_out"),
    ),
    Requirement(
        "2026-07-28/basic/index#ref-resolution",
        "MUST NOT",
        "Implementations MUST NOT automatically dereference $ref values that resolve to a network URI.",
        tests=tests_of(SCHEMA_RULES, "test_a_schema_that_cannot_be_bounded_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/index#ref-resolution",
        "SHOULD",
        "Schemas that fail to validate due to an unresolved external $ref SHOULD be rejected rather than "
        "silently treated as permissive.",
        tests=tests_of(SCHEMA_RULES, "test_a_schema_that_cannot_be_bounded_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/index#ref-resolution",
        "MUST",
        "it MUST be disabled by default",
        tests=tests_of(SCHEMA_RULES, "test_a_schema_that_cannot_be_bounded_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/index#composition-keyword-resource-use",
        "SHOULD",
        "Implementations SHOULD apply reasonable bounds, such as a maximum schema depth, a cap on the total "
        "number of subschemas, or a per-validation time budget",
        tests=tests_of(SCHEMA_RULES, "test_a_schema_that_cannot_be_bounded_is_refused")
        + tests_of(
            ARGUMENT_CHECKS,
            "test_a_huge_wrong_value_is_refused_quickly_and_still_with_places",
            "test_text_that_would_keep_a_pattern_busy_is_refused_unseen",
        ),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "Client requests carry the following io.modelcontextprotocol/* fields in _meta; fields marked as "
        "required MUST be included on every request.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_broken_envelope_is_400_invalid_params"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "A request missing any required field is malformed; the server MUST reject it with JSON-RPC error "
        "code -32602 (Invalid params). … On HTTP, the response status MUST be 400 Bad Request.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_broken_envelope_is_400_invalid_params"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST NOT",
        "A server MUST NOT rely on capabilities the client has not declared.",
        tests=tests_of(
            INPUTS,
            "test_only_inputs_whose_capability_is_declared_are_asked",
            "test_every_capability_is_of_its_own_request",
        )
        + tests_of(TASKS_EXTENSION, "test_only_what_the_polling_client_declares_is_asked")
        + tests_of(UNIT_CAPABILITIES, "test_a_member_that_is_no_object_declares_nothing"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "If processing a request requires a capability the client did not include in "
        "io.modelcontextprotocol/clientCapabilities, the server MUST return a "
        "MissingRequiredClientCapabilityError (-32021) whose data.requiredCapabilities lists the missing "
        "capabilities.",
        tests=tests_of(
            INPUTS,
            "test_a_client_that_can_be_asked_nothing_is_told_what_it_lacks",
            "test_a_bad_answer_to_what_the_client_cannot_be_asked_again_is_a_missing_capability",
        )
        + tests_of(TASKS_EXTENSION, "test_a_flow_may_require_tasks"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "SHOULD",
        "Servers SHOULD include the following io.modelcontextprotocol/* field in every result's _meta, "
        "unless specifically configured not to do so",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "SHOULD NOT",
        "Implementations SHOULD NOT use them to change the behavior of the client or server, and SHOULD NOT "
        "rely on them for security decisions.",
        tests=tests_of(STATELESS_METHODS, "test_who_a_client_says_it_is_changes_nothing"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "On notifications delivered via a subscriptions/listen stream, the server MUST include "
        "io.modelcontextprotocol/subscriptionId in _meta",
        tests=tests_of(STATELESS_METHODS, "test_a_subscription_is_acknowledged_first_and_hears_of_changed_tools")
        + tests_of(TASKS_LISTENING, "test_each_notification_is_what_a_poll_would_have_answered"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "When present, their values MUST follow W3C Trace Context and W3C Baggage formats respectively.",
        tests=tests_of(
            CALLS, "test_the_trace_context_reaches_the_envelope", "test_a_malformed_trace_context_is_dropped"
        )
        + tests_of(DECODERS, "test_trace_context_is_checked_as_the_recommendation_says"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "MUST",
        "If specified, MUST be a series of labels separated by dots (.), followed by a slash (/).",
        tests=tests_of(IDEMPOTENCY, "test_a_key_in_meta_has_the_form_of_the_header"),
    ),
    Requirement(
        "2026-07-28/basic/index#_meta",
        "SHOULD",
        "Implementations SHOULD use reverse DNS notation",
        tests=tests_of(IDEMPOTENCY, "test_a_key_in_meta_has_the_form_of_the_header"),
    ),
    Requirement(
        "2026-07-28/basic/versioning#protocol-version-negotiation",
        "MUST",
        "If the server does not implement the requested version … it MUST respond with an "
        "UnsupportedProtocolVersionError listing the versions it does support:",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_a_version_that_is_not_served_is_refused_with_those_that_are",
            "test_a_handshake_version_in_a_stateless_envelope_is_refused",
        ),
    ),
    Requirement(
        "2026-07-28/basic/versioning#protocol-version-negotiation",
        "MUST",
        "Servers MUST implement server/discover.",
        tests=tests_of(STATELESS_METHODS, "test_every_declared_capability_works"),
    ),
    Requirement(
        "2026-07-28/basic/versioning#extension-negotiation",
        "MUST",
        "If one party supports an extension but the other does not, the supporting party MUST either revert "
        "to core protocol behavior or reject the request with an appropriate error.",
        tests=tests_of(
            TASKS_EXTENSION,
            "test_a_client_without_the_extension_gets_the_result",
            "test_a_flow_may_require_tasks",
            "test_a_request_without_the_extension_is_refused_before_its_task_is_looked_up",
        ),
    ),
    Requirement(
        "2026-07-28/basic/versioning#extension-negotiation",
        "MUST",
        "Extension identifiers MUST follow the _meta key naming rules, with a mandatory prefix.",
        tests=tests_of(TASKS_EXTENSION, "test_the_extension_is_declared_and_the_older_capability_is_not"),
    ),
    Requirement(
        "2026-07-28/basic/versioning#backward-compatibility-with-initialization-based-versions",
        "SHOULD",
        "A server that supports only modern versions SHOULD name the protocol versions it supports in any "
        "error it returns to an initialize request",
        deferred="The gateway serves the older revisions, too, and their initialize.",
    ),
    Requirement(
        "2026-07-28/server/discover",
        "MUST",
        "Servers MUST implement it.",
        tests=tests_of(
            STATELESS_METHODS,
            "test_every_declared_capability_works",
            "test_cacheable_results_say_how_long_and_for_whom",
        ),
    ),
    Requirement(
        "2026-07-28/server/discover",
        "SHOULD",
        "Servers SHOULD include this field.",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom"),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#cacheable-results",
        "MUST",
        'Servers MUST include caching hints on results with resultType: "complete" returned by the '
        "following operations:",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom"),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#cache-key",
        "MUST NOT",
        "requests carrying inputResponses or requestState … MUST NOT be cached, as they depend on inputs "
        "that are not part of the cache key.",
        tests=tests_of(INPUTS, "test_prompts_and_resources_ask_too"),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#time-to-live-ttl-field",
        "MUST",
        "Servers MUST provide a ttlMs value that is >= 0.",
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom"),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#interaction-with-pagination",
        "MUST",
        "Servers MUST apply the same cacheScope to all response pages for a given list request.",
        tests=tests_of(
            STATELESS_METHODS,
            "test_cacheable_results_say_how_long_and_for_whom",
            "test_lists_come_in_the_same_order_and_in_pages",
        ),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#security-considerations",
        "MUST",
        'Servers MUST be aware that responses with a "public" cacheScope may be shared between callers',
        tests=tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom"),
    ),
    Requirement(
        "2026-07-28/server/utilities/caching#security-considerations",
        "MUST",
        "MUST apply appropriate per-primitive access controls, and MUST NOT rely on cacheScope alone to "
        "prevent unauthorized access to primitives.",
        tests=tests_of(IDENTITY_MATRIX, "test_a_stateless_method_admits_whom_its_need_names_and_nobody_else")
        + tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_extension_looks_like_none"),
    ),
    Requirement(
        "2026-07-28/server/utilities/pagination#error-handling",
        "SHOULD",
        "Invalid cursors SHOULD result in an error with code -32602 (Invalid params).",
        tests=tests_of(STATELESS_METHODS, "test_a_foreign_cursor_is_invalid"),
    ),
    Requirement(
        "2026-07-28/server/utilities/pagination#implementation-guidelines",
        "SHOULD",
        "Servers SHOULD: … Provide stable cursors … Handle invalid cursors gracefully",
        tests=tests_of(
            STATELESS_METHODS, "test_lists_come_in_the_same_order_and_in_pages", "test_a_foreign_cursor_is_invalid"
        ),
    ),
)
