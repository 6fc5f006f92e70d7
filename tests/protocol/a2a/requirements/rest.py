"""The HTTP+JSON binding (section 11)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
QUERY = f"{SPECIFICATION}#115-query-parameter-naming-for-request-parameters"
PATHS = "tests/protocol/a2a/test_http_json.py"
ERRORS = "tests/protocol/a2a/test_http_json_errors.py"
LIFE = tests_of(PATHS, "test_a_message_is_sent_and_its_task_looked_at_listed_and_canceled")
FORM = tests_of(ERRORS, "test_an_error_has_the_form_of_aip_193")
NAMED = tests_of(ERRORS, "test_a_wrong_parameter_is_named")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#111-protocol-requirements",
        "SHOULD",
        "application/a2a+json SHOULD be used for requests and responses",
        tests=tests_of(PATHS, "test_both_json_types_are_taken_and_the_own_one_is_answered"),
    ),
    Requirement(
        f"{SPECIFICATION}#112-service-parameter-transmission",
        "MUST",
        "A2A service parameters defined in Section 3.2.6 MUST be transmitted using standard HTTP request headers.",
        tests=tests_of(PATHS, "test_without_a_version_the_paths_of_1_0_are_served") + FORM,
    ),
    Requirement(
        QUERY,
        "MUST",
        "HTTP methods that do not support request bodies (GET, DELETE) MUST transmit operation request parameters "
        "as path parameters or query parameters.",
        tests=LIFE,
    ),
    Requirement(
        QUERY,
        "MUST",
        "Query parameter names MUST use camelCase to match the JSON serialization of Protocol Buffer field names.",
        tests=(*LIFE, *NAMED),
    ),
    Requirement(
        QUERY,
        "MUST",
        "All query parameter values MUST be properly URL-encoded per RFC 3986.",
        tests=NAMED,
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "STATES",
        "HTTP error responses use the google.rpc.Status JSON representation",
        tests=FORM,
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "MUST",
        "Each object in the details array MUST include a @type key that identifies the object's type.",
        tests=FORM,
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "SHOULD",
        "Implementations SHOULD use well-known types such as google.rpc.BadRequest to attach structured data to "
        "validation errors.",
        tests=NAMED,
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "MUST",
        "implementations MUST include a google.rpc.ErrorInfo object in the details array for A2A-specific errors with:",
        tests=FORM,
    ),
    Requirement(
        f"{SPECIFICATION}#117-streaming",
        "STATES",
        "REST streaming uses Server-Sent Events with the data field containing JSON serializations of the protocol "
        "data objects:",
        tests=tests_of(PATHS, "test_a_stream_has_the_events_without_an_envelope"),
    ),
    Requirement(
        f"{SPECIFICATION}#117-streaming",
        "SHOULD",
        "Implementations SHOULD avoid re-ordering events and MAY optionally resend a final Task snapshot before "
        "closing.",
        tests=tests_of(PATHS, "test_a_stream_has_the_events_without_an_envelope"),
    ),
)
