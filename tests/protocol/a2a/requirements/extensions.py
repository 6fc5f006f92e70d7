"""Extensions (sections 3.3.4, 4.6). Their negotiation by header comes with the cards."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECTION = f"{SPECIFICATION}#463-extension-versioning-and-compatibility"
OURS = "The gateway's own extensions name no version yet: a breaking change gets a new URI."
LATER = "The header A2A-Extensions is not read yet. Its test:"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "When a server requests use of an extension marked as required: true in the Agent Card but the client does not "
        "declare support for it, the agent MUST return ExtensionSupportRequiredError.",
        deferred="No extension of the gateway is marked as required: each only adds what a client may do without.",
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Extensions SHOULD include version information in their URI identifier.",
        deferred=OURS,
    ),
    Requirement(
        SECTION,
        "MUST",
        "A new URI MUST be created for breaking changes to an extension.",
        deferred=OURS,
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
        deferred=f"{LATER} of two versions of one extension, only the one that is served is echoed.",
    ),
)
