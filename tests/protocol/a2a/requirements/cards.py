"""The agent card (sections 8.1 to 8.3, 8.6, 14.3)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
CARDS = "tests/protocol/a2a/test_cards.py"
LISTED = tests_of(CARDS, "test_the_card_lists_the_skills_for_readers_of_both_versions")
PURE = tests_of(CARDS, "test_whoever_names_the_version_gets_the_pure_card")
CACHED = tests_of(CARDS, "test_a_card_is_validated_by_its_tag_and_changes_with_the_registry")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#81-purpose",
        "MUST",
        "A2A Servers MUST make an Agent Card available.",
        tests=LISTED,
    ),
    Requirement(
        f"{SPECIFICATION}#83-protocol-declaration-requirements",
        "MUST",
        "The AgentCard MUST properly declare supported protocols:",
        tests=(*LISTED, *PURE),
    ),
    Requirement(
        f"{SPECIFICATION}#831-supported-interfaces-declaration",
        "SHOULD",
        "The supportedInterfaces field SHOULD declare all supported protocol combinations in preference order",
        tests=LISTED,
    ),
    Requirement(
        f"{SPECIFICATION}#831-supported-interfaces-declaration",
        "MUST",
        "Each interface MUST accurately declare its transport protocol and URL",
        tests=(*LISTED, *PURE),
    ),
    Requirement(
        f"{SPECIFICATION}#86-caching",
        "SHOULD",
        "Servers and clients SHOULD use standard HTTP caching mechanisms to reduce unnecessary network overhead.",
        tests=CACHED,
    ),
    Requirement(
        f"{SPECIFICATION}#861-server-requirements",
        "SHOULD",
        "Agent Card HTTP endpoints SHOULD include a Cache-Control response header with a max-age directive appropriate "
        "for the agent's expected update frequency",
        tests=CACHED,
    ),
    Requirement(
        f"{SPECIFICATION}#861-server-requirements",
        "SHOULD",
        "Agent Card HTTP endpoints SHOULD include an ETag response header derived from the Agent Card's version "
        "field or a hash of the card content",
        tests=CACHED,
    ),
    Requirement(
        f"{SPECIFICATION}#861-server-requirements",
        "MAY",
        "Agent Card HTTP endpoints MAY include a Last-Modified response header",
        tests=CACHED,
    ),
    Requirement(
        f"{SPECIFICATION}#143-well-known-uri-registration",
        "MUST",
        "The resource at this URI MUST return an AgentCard object as defined in Section 4.4.1 of the A2A "
        "specification.",
        tests=(*LISTED, *PURE),
    ),
    Requirement(
        f"{SPECIFICATION}#143-well-known-uri-registration",
        "SHOULD NOT",
        "The Agent Card MAY contain public information about an agent's capabilities and SHOULD NOT include sensitive "
        "credentials or internal implementation details",
        tests=tests_of(CARDS, "test_without_a_skill_there_is_no_card_and_with_scoped_ones_alone_it_says_to_sign_in"),
    ),
    Requirement(
        f"{SPECIFICATION}#143-well-known-uri-registration",
        "SHOULD",
        "Implementations SHOULD support HTTPS to ensure authenticity and integrity of the Agent Card",
        deferred="TLS ends before the gateway; its public origin is a setting of the deployment.",
    ),
    Requirement(
        f"{SPECIFICATION}#143-well-known-uri-registration",
        "MUST",
        "Extended Agent Cards retrieved via authenticated endpoints (Section 3.1.11) MAY contain additional "
        "information and MUST enforce appropriate access controls",
        tests=tests_of("tests/protocol/a2a/test_isolation.py", "test_the_extended_card_shows_what_its_caller_sees"),
    ),
)
