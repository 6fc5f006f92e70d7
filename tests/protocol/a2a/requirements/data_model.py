"""The form of objects (sections 4, 5.5 to 5.7)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
CODECS = "tests/unit/a2a/test_codecs.py"
GOLDEN = "tests/unit/a2a/test_golden.py"
FIELDS = tests_of("tests/protocol/a2a/test_dialects.py", "test_an_invalid_message_names_the_field")
RENDERED = tests_of(GOLDEN, "test_a_log_is_rendered_in_every_dialect")
TIMES = tests_of(CODECS, "test_times_are_utc_with_milliseconds")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#4-protocol-data-model",
        "MUST",
        "All protocol bindings MUST provide functionally equivalent representations of these data structures.",
        tests=RENDERED,
    ),
    Requirement(
        f"{SPECIFICATION}#55-json-field-naming-convention",
        "MUST",
        "All JSON serializations of the A2A protocol data model MUST use camelCase naming for field names, not the "
        "snake_case convention used in Protocol Buffer definitions.",
        tests=tests_of(GOLDEN, "test_no_member_of_an_answer_has_an_underscore"),
    ),
    Requirement(
        f"{SPECIFICATION}#55-json-field-naming-convention",
        "MUST",
        "Enum values MUST be represented according to the ProtoJSON specification, which serializes enums as their "
        "string names as defined in the Protocol Buffer definition (typically SCREAMING_SNAKE_CASE).",
        tests=(*RENDERED, *tests_of(CODECS, "test_a_task_and_its_events_have_the_form_of_each_dialect")),
    ),
    Requirement(
        f"{SPECIFICATION}#561-timestamps",
        "MUST",
        "When serialized to JSON (in JSON-RPC, HTTP/REST, or other JSON-based bindings), these timestamps MUST be "
        "represented as ISO 8601 formatted strings in UTC timezone.",
        tests=TIMES,
    ),
    Requirement(
        f"{SPECIFICATION}#561-timestamps",
        "SHOULD",
        "Precision: Millisecond precision SHOULD be used where available",
        tests=TIMES,
    ),
    Requirement(
        f"{SPECIFICATION}#561-timestamps",
        "STATES",
        "Pattern: YYYY-MM-DDTHH:mm:ss.sssZ",
        tests=TIMES,
    ),
    Requirement(
        f"{SPECIFICATION}#561-timestamps",
        "MUST",
        "Clients and servers MUST parse and generate ISO 8601 timestamps correctly",
        tests=(
            *TIMES,
            *tests_of("tests/protocol/a2a/test_lists.py", "test_lists_are_filtered_by_context_state_and_time"),
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#561-timestamps",
        "MUST NOT",
        "Timestamps MUST NOT include timezone offsets other than 'Z' (all times are UTC)",
        tests=TIMES,
    ),
    Requirement(
        f"{SPECIFICATION}#57-field-presence-and-optionality",
        "MUST",
        "Fields marked with [(google.api.field_behavior) = REQUIRED] indicate that the field MUST be present and "
        "set in valid messages.",
        tests=RENDERED,
    ),
    Requirement(
        f"{SPECIFICATION}#57-field-presence-and-optionality",
        "SHOULD",
        "Implementations SHOULD validate these requirements and reject messages with missing required fields.",
        tests=FIELDS,
    ),
    Requirement(
        f"{SPECIFICATION}#57-field-presence-and-optionality",
        "MUST",
        "Arrays marked as required MUST contain at least one element.",
        tests=FIELDS,
    ),
    Requirement(
        f"{SPECIFICATION}#57-field-presence-and-optionality",
        "SHOULD",
        "Implementations SHOULD ignore unrecognized fields in messages, allowing for forward compatibility as the "
        "protocol evolves.",
        tests=tests_of("tests/protocol/a2a/test_reading.py", "test_members_that_nobody_knows_are_ignored"),
    ),
)
