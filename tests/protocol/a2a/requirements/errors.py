"""Errors (sections 3.3.2, 3.3.4, 5.4)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECTION = f"{SPECIFICATION}#332-error-handling"
DIALECTS = "tests/protocol/a2a/test_dialects.py"
ISOLATION = "tests/protocol/a2a/test_isolation.py"
TASKS = "tests/protocol/a2a/test_tasks.py"
FIELDS = tests_of(DIALECTS, "test_an_invalid_message_names_the_field") + tests_of(
    "tests/unit/a2a/test_bad_members.py", "test_a_member_that_is_not_what_it_must_be_is_named"
)
MALFORMED = tests_of(DIALECTS, "test_a_malformed_request_is_answered_with_its_code_and_id")
ADMITTED = tests_of(ISOLATION, "test_a_method_admits_whom_its_need_names_and_nobody_else")
FOREIGN = tests_of(ISOLATION, "test_a_foreign_task_is_answered_as_an_unknown_one")
UNKNOWN = tests_of(TASKS, "test_a_task_that_is_unknown_is_not_found_in_every_method")
ROWS = tests_of("tests/unit/a2a/test_codecs.py", "test_every_domain_error_has_a_row")
LIMITS = "tests/integration/http/test_limits.py"

REQUIREMENTS = (
    Requirement(
        SECTION,
        "MUST",
        "Servers MUST return appropriate errors and SHOULD provide actionable information to help clients resolve "
        "issues.",
        tests=(*MALFORMED, *FIELDS, *ROWS),
    ),
    Requirement(
        SECTION,
        "MUST",
        "Servers MUST reject requests with invalid or missing authentication credentials",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD include authentication challenge information in the error response",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD specify which authentication scheme is required",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Servers MUST return an authorization error when the authenticated client lacks required permissions",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD indicate what permission or scope is missing (without leaking sensitive information about "
        "resources the client cannot access)",
        tests=tests_of(
            "tests/protocol/identity/test_offers.py",
            "test_using_what_one_only_sees_is_refused_with_the_scopes_it_needs",
        ),
    ),
    Requirement(
        SECTION,
        "MUST NOT",
        "Servers MUST NOT reveal the existence of resources the client is not authorized to access",
        tests=FOREIGN,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Servers MUST validate all input parameters before processing",
        tests=FIELDS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD specify which parameter(s) failed validation and why",
        tests=FIELDS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD provide guidance on valid parameter values or formats",
        tests=(
            *FIELDS,
            *tests_of(TASKS, "test_without_a_skill_the_refusal_lists_those_that_the_caller_may_use"),
        ),
    ),
    Requirement(
        SECTION,
        "MUST",
        "Servers MUST return a not found error when a requested resource does not exist or is not accessible to the "
        "authenticated client",
        tests=(*UNKNOWN, *FOREIGN),
    ),
    Requirement(
        SECTION,
        "SHOULD NOT",
        'Servers SHOULD NOT distinguish between "does not exist" and "not authorized" to prevent information leakage',
        tests=FOREIGN,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD return appropriate error codes for temporary failures vs. permanent errors",
        tests=ROWS,
    ),
    Requirement(
        SECTION,
        "MAY",
        "Servers MAY include retry guidance (e.g., Retry-After header in HTTP)",
        tests=tests_of(LIMITS, "test_a_refusal_says_when_to_come_again"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Servers SHOULD log system errors for diagnostic purposes",
        tests=tests_of(
            "tests/protocol/a2a/test_tasks.py",
            "test_what_no_error_of_the_protocol_describes_is_logged_and_told_without_its_cause",
        ),
    ),
    Requirement(
        SECTION,
        "MUST",
        "All error responses in the A2A protocol, regardless of binding, MUST convey the following information:",
        tests=(*MALFORMED, *FIELDS),
    ),
    Requirement(
        SECTION,
        "MUST",
        "Each object in the array MUST include a @type key that identifies the object's type (using ProtoJSON Any "
        "representation).",
        tests=tests_of("tests/unit/a2a/test_golden.py", "test_every_detail_of_an_error_of_1_0_has_a_type"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Well-known types from the google.rpc error model (e.g., ErrorInfo, BadRequest) SHOULD be used where "
        "applicable.",
        tests=tests_of("tests/unit/a2a/test_golden.py", "test_every_detail_of_an_error_of_1_0_has_a_type"),
    ),
    Requirement(
        SECTION,
        "MUST",
        "Protocol bindings MUST map these elements to their native error representations while preserving semantic "
        "meaning.",
        tests=ROWS,
    ),
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "When clients attempt to use operations or features that require capabilities not declared as supported in the "
        "Agent Card, the agent MUST return an appropriate error response:",
        tests=tests_of(DIALECTS, "test_the_extended_card_is_not_supported_here"),
    ),
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "If AgentCard.capabilities.streaming is false or not present, attempts to use SendStreamingMessage or "
        "SubscribeToTask operations MUST return UnsupportedOperationError.",
        tests=tests_of(DIALECTS, "test_streams_may_be_switched_off"),
    ),
    Requirement(
        SECTION,
        "STATES",
        "A Media Type provided in the request's message parts or implied for an artifact is not supported by the "
        "agent or the specific skill being invoked.",
        tests=tests_of(
            "tests/protocol/a2a/test_bad_input.py", "test_a_wrong_media_type_is_refused_before_anything_is_parsed"
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#54-error-code-mappings",
        "MUST",
        "All A2A-specific errors defined in Section 3.3.2 MUST be mapped to binding-specific error representations.",
        tests=(*ROWS, *tests_of("tests/unit/a2a/test_golden.py", "test_an_error_has_the_code_and_status_of_the_table")),
    ),
)
