"""Streams (sections 3.1.2, 3.1.6, 3.5.2)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
DIRECT = "tests/protocol/a2a/test_direct_messages.py"
STREAMS = "tests/protocol/a2a/test_streams.py"
LIFE = tests_of(STREAMS, "test_a_stream_is_the_task_then_its_events_and_closes_with_the_end")
SUBSCRIBER = tests_of(STREAMS, "test_a_subscriber_sees_the_task_and_stays_when_it_asks")
READERS = tests_of(STREAMS, "test_every_reader_gets_the_same_events_and_one_that_leaves_disturbs_none")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "The stream MUST follow one of these patterns:",
        tests=LIFE,
    ),
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "The operation MUST establish a streaming connection for real-time updates.",
        tests=LIFE,
    ),
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "If the agent returns a Message, the stream MUST contain exactly one Message object and then close "
        "immediately.",
        tests=tests_of(DIRECT, "test_its_stream_is_the_message_alone"),
    ),
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "the stream MUST begin with the Task object, followed by zero or more TaskStatusUpdateEvent or "
        "TaskArtifactUpdateEvent objects.",
        tests=(*LIFE, *tests_of(DIRECT, "test_the_stream_of_a_flow_that_shows_a_task_has_all_its_events")),
    ),
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "The stream MUST close when the task reaches a terminal state",
        tests=LIFE,
    ),
    Requirement(
        f"{SPECIFICATION}#312-send-streaming-message",
        "MUST",
        "The implementation MUST provide immediate feedback on progress and intermediate results.",
        tests=LIFE,
    ),
    Requirement(
        f"{SPECIFICATION}#316-subscribe-to-task",
        "MUST",
        "The stream MUST terminate when the task reaches a terminal state",
        tests=SUBSCRIBER,
    ),
    Requirement(
        f"{SPECIFICATION}#316-subscribe-to-task",
        "MUST",
        "The operation MUST return a Task object as the first event in the stream, representing the current state "
        "of the task at the time of subscription.",
        tests=(
            *SUBSCRIBER,
            *tests_of(
                "tests/protocol/a2a/test_replicas.py", "test_a_task_of_one_is_streamed_and_answered_by_the_other"
            ),
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#316-subscribe-to-task",
        "STATES",
        "The operation is attempted on a task that is in a terminal state",
        tests=SUBSCRIBER,
    ),
    Requirement(
        f"{SPECIFICATION}#352-streaming-event-delivery",
        "MUST",
        "All implementations MUST deliver events in the order they were generated.",
        tests=(*LIFE, *READERS),
    ),
    Requirement(
        f"{SPECIFICATION}#352-streaming-event-delivery",
        "MUST NOT",
        "Events MUST NOT be reordered during transmission, regardless of protocol binding.",
        tests=LIFE,
    ),
    Requirement(
        f"{SPECIFICATION}#352-streaming-event-delivery",
        "MUST",
        "Events MUST be broadcast to all active streams for that task",
        tests=READERS,
    ),
    Requirement(
        f"{SPECIFICATION}#352-streaming-event-delivery",
        "MUST",
        "Each stream MUST receive the same events in the same order",
        tests=READERS,
    ),
    Requirement(
        f"{SPECIFICATION}#352-streaming-event-delivery",
        "MUST NOT",
        "Closing one stream MUST NOT affect other active streams for the same task",
        tests=READERS,
    ),
)
