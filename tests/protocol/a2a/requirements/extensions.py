"""Extensions (sections 3.2.6, 3.3.4, 4.6)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECTION = f"{SPECIFICATION}#463-extension-versioning-and-compatibility"
MODULE = "tests/unit/a2a/test_extensions.py"
NAMED = tests_of(MODULE, "test_only_what_is_served_is_activated_and_no_other_version_of_it")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#326-service-parameters",
        "STATES",
        "Comma-separated list of extension URIs that the client wants to use for the request",
        tests=tests_of(MODULE, "test_the_headers_of_both_versions_name_extensions_with_commas"),
    ),
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "When a server requests use of an extension marked as required: true in the Agent Card but the client does not "
        "declare support for it, the agent MUST return ExtensionSupportRequiredError.",
        tests=tests_of(MODULE, "test_a_required_extension_that_the_client_does_not_name_is_an_error"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Extensions SHOULD include version information in their URI identifier.",
        tests=NAMED,
    ),
    Requirement(
        SECTION,
        "MUST",
        "A new URI MUST be created for breaking changes to an extension.",
        tests=NAMED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "If a client requests a versions of an extension that the agent does not support, the agent SHOULD ignore the "
        "extension for that interaction and proceed without it, unless the extension is marked as required in the "
        "AgentCard, in which case the agent MUST return an error indicating unsupported extension.",
        tests=tests_of("tests/protocol/a2a/test_reading.py", "test_an_extension_that_nobody_knows_is_ignored"),
    ),
    Requirement(
        SECTION,
        "MUST NOT",
        "It MUST NOT fall back to a previous version of the extension automatically.",
        tests=NAMED,
    ),
)
