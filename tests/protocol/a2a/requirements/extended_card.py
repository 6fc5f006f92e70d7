"""The extended card (sections 3.1.11, 3.3.4, 13.3)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECTION = f"{SPECIFICATION}#133-extended-agent-card-access-control"
ISOLATION = "tests/protocol/a2a/test_isolation.py"
NOT_HERE = tests_of("tests/protocol/a2a/test_dialects.py", "test_the_extended_card_is_not_supported_here")
SHOWN = tests_of(ISOLATION, "test_the_extended_card_shows_what_its_caller_sees")
ADMITTED = tests_of(ISOLATION, "test_a_method_admits_whom_its_need_names_and_nobody_else")
NEVER = "Whoever has signed in has an extended card: it is computed from the registry, so that it cannot be missing."

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "If AgentCard.capabilities.extendedAgentCard is false or not present, attempts to call the Get Extended Agent "
        "Card operation MUST return UnsupportedOperationError.",
        tests=NOT_HERE,
    ),
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "If the agent declares support but has not configured an extended card, it MUST return "
        "ExtendedAgentCardNotConfiguredError.",
        deferred=NEVER,
    ),
    Requirement(
        SECTION,
        "MUST",
        "The Get Extended Agent Card operation MUST require authentication",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Agents MUST authenticate requests using one of the schemes declared in the public "
        "AgentCard.securitySchemes and AgentCard.security fields",
        tests=ADMITTED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD implement appropriate caching headers to control client-side caching of extended cards",
        tests=SHOWN,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD document which capabilities are available at different authentication levels",
        deferred="docs/identity.md says which skills a caller sees.",
    ),
    Requirement(
        SECTION,
        "SHOULD NOT",
        "Extended cards SHOULD NOT include sensitive information that could be exploited if leaked (e.g., internal "
        "service URLs, unmasked credentials)",
        tests=SHOWN,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Agents MUST validate that clients have appropriate permissions before returning privileged information in "
        "extended cards",
        tests=SHOWN,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD version extended cards appropriately and honor client cache invalidation",
        deferred="No answer with an extended card may be stored, so that there is no cache to invalidate.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "When capabilities.extendedAgentCard is false or not present, the operation MUST return "
        "UnsupportedOperationError",
        tests=NOT_HERE,
    ),
    Requirement(
        SECTION,
        "MUST",
        "When support is declared but no extended card is configured, the operation MUST return "
        "ExtendedAgentCardNotConfiguredError",
        deferred=NEVER,
    ),
)
