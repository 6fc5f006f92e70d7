"""What 0.3 and the oldest dialect have of their own, as far as tests quote it."""

from tests.support.requirements import Requirement, tests_of

DIALECTS = "tests/protocol/a2a/test_dialects.py"

REQUIREMENTS = (
    Requirement(
        "v0.3.0/specification#722-taskstatusupdateevent-object",
        "STATES",
        "If true, this is the final event in the stream for this interaction.",
        tests=tests_of("tests/protocol/a2a/test_streams.py", "test_the_older_dialect_ends_its_stream_with_final")
        + tests_of(DIALECTS, "test_a_stream_of_0_3_that_begins_with_the_end_ends_with_final"),
    ),
    Requirement(
        "v0.1.0/specification#722-taskstatusupdateevent-object",
        "STATES",
        "If true, indicates this is the terminal status update for the current stream cycle.",
        tests=tests_of(DIALECTS, "test_a_stream_of_the_oldest_dialect_ends_with_final_however_it_ends"),
    ),
    Requirement(
        "v0.1.0/specification#711-tasksendparams-object",
        "STATES",
        "If this is the first message for a new task, the client generates this ID.",
        tests=tests_of(DIALECTS, "test_a_client_of_the_oldest_dialect_names_its_task_itself"),
    ),
)
