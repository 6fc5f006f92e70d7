"""ListTasks (section 3.1.4)."""

from tests.support.requirements import Requirement, tests_of

SECTION = "v1.0.1/specification#314-list-tasks"
LISTS = "tests/protocol/a2a/test_lists.py"
ORDERED = tests_of(LISTS, "test_tasks_are_in_the_order_of_their_statuses_times_whatever_their_state")
PAGES = tests_of(LISTS, "test_pages_follow_one_another_to_the_end_and_all_members_are_present")
OWN = tests_of("tests/protocol/a2a/test_isolation.py", "test_a_list_shows_and_counts_its_callers_tasks_only")

REQUIREMENTS = (
    Requirement(
        SECTION,
        "MUST",
        "When includeArtifacts is false (the default), the artifacts field MUST be omitted entirely from each Task "
        "object in the response.",
        tests=tests_of(LISTS, "test_messages_and_artifacts_are_shown_as_they_are_asked_for"),
    ),
    Requirement(
        SECTION,
        "MUST",
        "The nextPageToken field MUST always be present in the response.",
        tests=PAGES,
    ),
    Requirement(
        SECTION,
        "MUST",
        "When there are no more results to retrieve (i.e., this is the final page), the field MUST be set to an empty "
        'string ("").',
        tests=PAGES,
    ),
    Requirement(
        SECTION,
        "MUST",
        "The operation MUST return only tasks visible to the authenticated client and MUST use cursor-based pagination "
        "for performance and consistency.",
        tests=(*OWN, *PAGES),
    ),
    Requirement(
        SECTION,
        "MUST",
        "Tasks MUST be sorted by last update time in descending order.",
        tests=ORDERED,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Implementations MUST implement appropriate authorization scoping to ensure clients can only access authorized "
        "tasks.",
        tests=OWN,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Implementations MUST return tasks sorted by their status timestamp time in descending order (most recently "
        "updated tasks first).",
        tests=ORDERED,
    ),
)
