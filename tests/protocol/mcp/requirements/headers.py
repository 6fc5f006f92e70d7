"""Headers of Streamable HTTP of 2026-07-28, and how they are checked."""

from tests.support.requirements import Requirement, tests_of

CALLS = "tests/protocol/mcp/test_calls.py"
OFFERED_FLOWS = "tests/unit/asya_crds/test_offered_flows.py"
SCHEMA_RULES = "tests/unit/registry/test_schema_rules.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
UNIT_HEADERS = "tests/unit/mcp/test_mcp_headers.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST NOT",
        "MUST NOT be empty",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept")
        + tests_of(UNIT_HEADERS, "test_a_schema_that_breaks_a_rule_has_no_parameter_headers"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "MUST match HTTP field-name token syntax (1*tchar, RFC 9110 Section 5.1)",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST NOT",
        "MUST NOT contain control characters, including carriage return (CR, \\r) or line feed (LF, \\n)",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept")
        + tests_of(UNIT_HEADERS, "test_a_schema_that_breaks_a_rule_has_no_parameter_headers"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "MUST be case-insensitively unique among all x-mcp-header values in the inputSchema",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "MUST only be applied to parameters with primitive types (integer, string, boolean).",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "Integer values MUST be within the safe range for JavaScript",
        tests=tests_of(UNIT_HEADERS, "test_values_compare_by_their_type"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "MUST only be applied to properties that are statically reachable from the schema root",
        tests=tests_of(
            SCHEMA_RULES, "test_header_rules_of_mcp_are_kept", "test_a_nested_property_may_travel_in_a_header"
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST NOT",
        "The chain MUST NOT pass through items (or any other array keyword), composition keywords (oneOf, "
        "anyOf, allOf, not), conditional keywords (if/then/else), or $ref.",
        tests=tests_of(SCHEMA_RULES, "test_header_rules_of_mcp_are_kept")
        + tests_of(UNIT_HEADERS, "test_a_schema_that_breaks_a_rule_has_no_parameter_headers"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#schema-extension",
        "MUST",
        "Clients using the Streamable HTTP transport MUST reject tool definitions where any x-mcp-header "
        "value violates these constraints.",
        tests=tests_of(OFFERED_FLOWS, "test_a_schema_that_clients_would_drop_is_refused_at_registration"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#value-encoding",
        "MUST",
        "In particular, servers MUST decode an encoded Mcp-Name or Mcp-Param-{Name} value before comparing "
        "it to the corresponding request body value",
        tests=tests_of(STATELESS_REFUSALS, "test_a_name_may_come_encoded")
        + tests_of(
            UNIT_HEADERS, "test_what_is_encoded_comes_back", "test_a_header_is_decoded_or_refused_and_nothing_else"
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#value-encoding",
        "MUST",
        "Servers and intermediaries that need to inspect these values MUST decode them accordingly.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_name_may_come_encoded")
        + tests_of(CALLS, "test_parameter_headers_that_agree_are_taken"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#value-encoding",
        "MUST",
        "These markers are case-sensitive and MUST appear exactly as shown (lowercase).",
        tests=tests_of(UNIT_HEADERS, "test_without_both_its_ends_a_value_is_literal"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST",
        "Servers MUST reject requests with a recognized Mcp-Param-{Name} header that contains invalid characters",
        tests=tests_of(UNIT_HEADERS, "test_characters_that_no_header_may_hold_are_refused")
        + tests_of(STATELESS_REFUSALS, "test_parameter_headers_must_agree_with_the_arguments"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST",
        "Any server that processes the message body MUST validate that encoded header values, after "
        "decoding if Base64-encoded, match the corresponding values in the request body.",
        tests=tests_of(STATELESS_REFUSALS, "test_parameter_headers_must_agree_with_the_arguments")
        + tests_of(CALLS, "test_parameter_headers_that_agree_are_taken"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST",
        "Servers MUST reject requests with a 400 Bad Request HTTP status and JSON-RPC error code -32020 "
        "(HeaderMismatch) if any validation fails.",
        tests=tests_of(STATELESS_REFUSALS, "test_parameter_headers_must_agree_with_the_arguments"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST NOT",
        "Parameter value is null … Server MUST NOT expect the header",
        tests=tests_of(UNIT_HEADERS, "test_a_value_that_has_no_header_form_must_come_without_one"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST NOT",
        "Parameter not in arguments … Server MUST NOT expect the header",
        tests=tests_of(UNIT_HEADERS, "test_an_argument_below_something_that_is_no_object_is_absent"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-behavior-for-custom-headers",
        "MUST",
        "Client omits header but value is in body … Server MUST reject the request",
        tests=tests_of(STATELESS_REFUSALS, "test_parameter_headers_must_agree_with_the_arguments"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#case-sensitivity",
        "MUST",
        "Clients and servers MUST use case-insensitive comparisons for header names.",
        tests=tests_of(CALLS, "test_parameter_headers_that_agree_are_taken"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-validation",
        "MUST",
        "Servers that process the request body MUST reject requests where the values specified in the "
        "headers do not match the corresponding values in the request body.",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_headers_that_differ_from_the_body_are_a_mismatch",
            "test_a_header_that_comes_twice_is_a_mismatch",
        )
        + tests_of(TASKS_EXTENSION, "test_the_name_header_is_the_tasks_id"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-validation",
        "SHOULD",
        "When validating integer parameter values, servers SHOULD compare the header value and the body "
        "value numerically rather than as strings",
        tests=tests_of(CALLS, "test_parameter_headers_that_agree_are_taken")
        + tests_of(UNIT_HEADERS, "test_values_compare_by_their_type"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-validation",
        "MUST",
        "When rejecting a request due to header validation failure, servers MUST return HTTP status 400 Bad "
        "Request and MUST include a JSON-RPC error response using the following error code:",
        tests=tests_of(
            STATELESS_REFUSALS,
            "test_headers_that_differ_from_the_body_are_a_mismatch",
            "test_parameter_headers_must_agree_with_the_arguments",
        ),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#server-validation",
        "MUST",
        "For headers that permit the Base64 sentinel encoding (Mcp-Name and Mcp-Param-{Name}), servers MUST "
        "decode encoded values (see Value Encoding) before comparing them to the body value.",
        tests=tests_of(STATELESS_REFUSALS, "test_a_name_may_come_encoded")
        + tests_of(CALLS, "test_parameter_headers_that_agree_are_taken"),
    ),
    Requirement(
        "2026-07-28/basic/transports/streamable-http#earlier-streamable-http-revisions",
        "SHOULD",
        "A server that supports only this revision and receives such traffic from an older client SHOULD "
        "respond as follows:",
        deferred="The gateway serves the older revisions, too.",
    ),
)
