"""ListTasks (section 3.1.4). Its module of tests comes with the method."""

from tests.support.requirements import Requirement

SECTION = "v1.0.1/specification#314-list-tasks"
LATER = "ListTasks is not served yet. Its test:"

REQUIREMENTS = (
    Requirement(
        SECTION,
        "MUST",
        "When includeArtifacts is false (the default), the artifacts field MUST be omitted entirely from each Task "
        "object in the response.",
        deferred=f"{LATER} a listed task that has ended has no member `artifacts`, and has it with includeArtifacts.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "The nextPageToken field MUST always be present in the response.",
        deferred=f"{LATER} every page has the member, an empty list's page, too.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "When there are no more results to retrieve (i.e., this is the final page), the field MUST be set to an empty "
        'string ("").',
        deferred=f'{LATER} the last page of several has "".',
    ),
    Requirement(
        SECTION,
        "MUST",
        "The operation MUST return only tasks visible to the authenticated client and MUST use cursor-based pagination "
        "for performance and consistency.",
        deferred=f"{LATER} two callers see their own tasks only, and pages stay whole while tasks are added.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "Tasks MUST be sorted by last update time in descending order.",
        deferred=f"{LATER} tasks whose statuses changed in another order than they were created.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "Implementations MUST implement appropriate authorization scoping to ensure clients can only access authorized "
        "tasks.",
        deferred=f"{LATER} the tasks of another caller are neither listed nor counted in totalSize.",
    ),
    Requirement(
        SECTION,
        "MUST",
        "Implementations MUST return tasks sorted by their status timestamp time in descending order (most recently "
        "updated tasks first).",
        deferred=f"{LATER} open and ended tasks are merged by their status timestamps.",
    ),
)
