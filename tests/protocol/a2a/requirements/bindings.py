"""Bindings in general (sections 5.1, 5.2)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#51-functional-equivalence-requirements",
        "MUST",
        "When an agent supports multiple protocols, all supported protocols MUST:",
        tests=tests_of(
            "tests/protocol/a2a/test_http_json.py",
            "test_a_message_is_sent_and_its_task_looked_at_listed_and_canceled",
            "test_who_may_not_is_told_in_the_same_form_with_a_challenge",
        )
        + tests_of("tests/protocol/a2a/test_http_json_errors.py", "test_an_error_has_the_form_of_aip_193"),
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
