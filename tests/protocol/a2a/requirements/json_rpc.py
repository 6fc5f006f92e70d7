"""The JSON-RPC binding (section 9)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
DIALECTS = "tests/protocol/a2a/test_dialects.py"
MALFORMED = tests_of(DIALECTS, "test_a_malformed_request_is_answered_with_its_code_and_id")
TYPED = tests_of("tests/unit/a2a/test_golden.py", "test_every_detail_of_an_error_of_1_0_has_a_type")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#92-service-parameter-transmission",
        "MUST",
        "A2A service parameters defined in Section 3.2.6 MUST be transmitted using standard HTTP request headers, as "
        "JSON-RPC 2.0 operates over HTTP(S).",
        tests=tests_of(DIALECTS, "test_the_version_must_not_contradict_the_method"),
    ),
    Requirement(
        f"{SPECIFICATION}#93-base-request-structure",
        "MUST",
        "All JSON-RPC requests MUST follow the standard JSON-RPC 2.0 format:",
        tests=MALFORMED,
    ),
    Requirement(
        f"{SPECIFICATION}#942-sendstreamingmessage",
        "STATES",
        "Response: HTTP 200 with Content-Type: text/event-stream",
        tests=tests_of(
            "tests/protocol/a2a/test_streams.py",
            "test_a_stream_is_the_task_then_its_events_and_closes_with_the_end",
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#95-error-handling",
        "MUST",
        "Each object in the data array MUST include a @type key that identifies the object's type.",
        tests=TYPED,
    ),
    Requirement(
        f"{SPECIFICATION}#95-error-handling",
        "SHOULD",
        "Implementations SHOULD use well-known types such as google.rpc.ErrorInfo to refine error reporting, or "
        "google.rpc.BadRequest to attach structured data to validation errors.",
        tests=(*TYPED, *tests_of(DIALECTS, "test_an_invalid_message_names_the_field")),
    ),
)
