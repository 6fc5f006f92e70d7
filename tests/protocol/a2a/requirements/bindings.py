"""Bindings in general (sections 5.1, 5.2)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#51-functional-equivalence-requirements",
        "MUST",
        "When an agent supports multiple protocols, all supported protocols MUST:",
        deferred=(
            "JSON-RPC is the only binding yet. Its test once HTTP+JSON is there: each operation gives the same "
            "result in both, and each error the code and the status of one row."
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#52-protocol-selection-and-negotiation",
        "MUST",
        "Agents MUST declare all supported protocols in their AgentCard",
        tests=tests_of(
            "tests/protocol/a2a/test_cards.py", "test_the_card_lists_the_skills_for_readers_of_both_versions"
        ),
    ),
)
