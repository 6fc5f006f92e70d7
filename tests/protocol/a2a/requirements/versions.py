"""Versions (sections 3.6, 14.2)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
DIALECTS = "tests/protocol/a2a/test_dialects.py"
READING = "tests/protocol/a2a/test_reading.py"
CONTRADICTED = tests_of(DIALECTS, "test_the_version_must_not_contradict_the_method")
IN_QUERY = tests_of(READING, "test_the_version_may_be_said_in_the_query")
CARD = tests_of("tests/protocol/a2a/test_cards.py", "test_whoever_names_the_version_gets_the_pure_card")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#36-versioning",
        "SHOULD NOT",
        "Patch version numbers SHOULD NOT be used in requests, responses and Agent Cards, and MUST not be "
        "considered when clients and servers negotiate protocol versions.",
        tests=(*IN_QUERY, *CARD),
    ),
    Requirement(
        f"{SPECIFICATION}#361-client-responsibilities",
        "MAY",
        "Clients MAY provide the A2A-Version as a request parameter instead of a header.",
        tests=IN_QUERY,
    ),
    Requirement(
        f"{SPECIFICATION}#362-server-responsibilities",
        "MUST",
        "Agents MUST process requests using the semantics of the requested A2A-Version (matching Major.Minor).",
        tests=tests_of(DIALECTS, "test_a_client_of_0_3_sends_looks_and_cancels")
        + tests_of("tests/unit/a2a/test_golden.py", "test_a_log_is_rendered_in_every_dialect"),
    ),
    Requirement(
        f"{SPECIFICATION}#362-server-responsibilities",
        "MUST",
        "If the version is not supported by the interface, agents MUST return a VersionNotSupportedError.",
        tests=CONTRADICTED,
    ),
    Requirement(
        f"{SPECIFICATION}#362-server-responsibilities",
        "MUST",
        "Agents MUST interpret empty value as 0.3 version.",
        tests=tests_of(READING, "test_a_request_that_cannot_be_read_is_answered_as_0_3_without_a_version"),
    ),
    Requirement(
        f"{SPECIFICATION}#1421-a2a-version-header",
        "MUST",
        'The value MUST be in the format Major.Minor (e.g., "0.3").',
        tests=(*CONTRADICTED, *IN_QUERY),
    ),
)
