"""0.3 over HTTP+JSON: the proto's names (proto of release v0.3.0), which the SDK 0.3.26 speaks."""

from datetime import UTC, datetime
from typing import Any

import pytest

from asya_gateway.protocols.a2a.dialects import push_v0_3_proto, v0_3_proto
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Message,
    Page,
    Part,
    PartKind,
    PushConfig,
    Role,
    SetPush,
    State,
    Status,
    StatusUpdate,
    TaskView,
)

AT = datetime(2026, 7, 28, 1, 2, 3, tzinfo=UTC)
PARTS = (
    Part(PartKind.TEXT, "hi"),
    Part(PartKind.DATA, {"n": 2**60 + 1}),
    Part(PartKind.RAW, "aGk=", "image/png", "a.png"),
    Part(PartKind.URL, "https://files.example/a.png"),
)
WIRE: list[dict[str, Any]] = [
    {"text": "hi"},
    {"data": {"data": {"n": 2**60 + 1}}},
    {"file": {"fileWithBytes": "aGk=", "mimeType": "image/png", "name": "a.png"}},
    {"file": {"fileWithUri": "https://files.example/a.png"}},
]
SENT = {"messageId": "m", "role": "ROLE_USER", "content": WIRE, "taskId": "t"}


def test_a_message_is_read_from_its_content() -> None:
    expected = Message("m", Role.USER, PARTS, task_id="t")
    assert v0_3_proto.read_send({"message": SENT}).message == expected
    assert v0_3_proto.read_send({"request": SENT}).message == expected
    kinds = [{"kind": "text", "text": "hi"}]
    assert v0_3_proto.read_send({"message": {**SENT, "content": None, "parts": kinds}}).message.parts == PARTS[:1]


def test_an_absent_boolean_is_false_as_proto3_leaves_it_out() -> None:
    for configuration, wait in (({"blocking": True}, True), ({}, False), (None, False)):
        assert v0_3_proto.read_send({"message": SENT, "configuration": configuration}).wait is wait


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content": []}, "message.content"),
        ({"content": [{}]}, "message.content[0]"),
        ({"content": [{"text": "a", "data": {"data": {}}}]}, "message.content[0]"),
        ({"content": [{"data": {"data": 1}}]}, "message.content[0].data.data"),
        ({"content": [{"file": {"fileWithBytes": "%"}}]}, "message.content[0].file.bytes"),
        ({"content": [{"text": 1}]}, "message.content[0].text"),
        ({"role": "user"}, "message.role"),
        ({"role": "ROLE_AGENT"}, "message.role"),
        ({"role": True}, "message.role"),
        ({"messageId": ""}, "message.messageId"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_member_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParams) as raised:
        v0_3_proto.read_send({"message": {**SENT, **change}})
    assert [name for name, _ in raised.value.fields] == [field]


def test_a_task_and_its_events_are_written_with_the_names_of_the_proto() -> None:
    said = Message("m", Role.AGENT, PARTS, "c", "t")
    made = Artifact("result", PARTS)
    view = TaskView("t", "c", Status(State.CANCELED, AT, said), (made,), (said,))
    message = {"messageId": "m", "role": "ROLE_AGENT", "content": WIRE, "contextId": "c", "taskId": "t"}
    status = {"state": "TASK_STATE_CANCELLED", "timestamp": "2026-07-28T01:02:03.000Z", "message": message}
    task: dict[str, Any] = {
        "id": "t",
        "contextId": "c",
        "status": status,
        "artifacts": [{"artifactId": "result", "parts": WIRE}],
        "history": [message],
    }
    assert v0_3_proto.task(view) == task
    assert v0_3_proto.send_result(view) == v0_3_proto.event(view) == {"task": task}
    assert v0_3_proto.send_result(said) == {"message": message}
    assert v0_3_proto.list_result(Page((view,), "", 50, 1)) == [task]
    changed = v0_3_proto.event(StatusUpdate("t", "c", Status(State.CANCELED, AT, said), ends_stream=True))
    assert changed == {"statusUpdate": {"taskId": "t", "contextId": "c", "status": status, "final": True}}
    chunk = v0_3_proto.event(ArtifactUpdate("t", "c", made, append=True))
    assert chunk["artifactUpdate"]["artifact"] == task["artifacts"][0]


def test_a_state_is_read_by_its_name_in_the_proto() -> None:
    for state, name in v0_3_proto.NAMES.items():
        assert v0_3_proto.read_listing({"status": name}).state is state
    with pytest.raises(InvalidParams):
        v0_3_proto.read_listing({"status": "working"})


def test_a_push_configuration_is_a_resource_with_a_name() -> None:
    config = {"pushNotificationConfig": {"url": "https://e.example/", "token": "x"}}
    expected = SetPush("t", PushConfig(url="https://e.example/", id="c", token="x"))
    assert push_v0_3_proto.read_set({"taskId": "t", "parent": "tasks/t", "configId": "c", "config": config}) == expected
    stored = push_v0_3_proto.config("t", expected.config)
    assert stored == {
        "name": "tasks/t/pushNotificationConfigs/c",
        "pushNotificationConfig": {"id": "c", "url": "https://e.example/"},
    }
    assert push_v0_3_proto.page("t", [expected.config], "") == [stored]
