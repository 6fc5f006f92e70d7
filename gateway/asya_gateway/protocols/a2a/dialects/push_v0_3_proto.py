"""Configurations of push notifications in 0.3 over HTTP+JSON: resources with names (the proto of release v0.3.0)."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_gateway.protocols.a2a.dialects import push_v0_3
from asya_gateway.protocols.a2a.dialects.push_v0_3 import MEMBER
from asya_gateway.protocols.a2a.model import ListPush, NamedPush, PushConfig, SetPush
from asya_gateway.protocols.a2a.reading import Members

Json = dict[str, Any]


def read_set(params: Mapping[str, Any]) -> SetPush:
    """CreateTaskPushNotificationConfigRequest: {configId?, config: {pushNotificationConfig}}. The path names the task.
    Raises InvalidParams."""
    members = Members(params)
    outer = members.members("config") or members
    found = outer.get(MEMBER, "push_notification_config")
    if not isinstance(found, Mapping):
        raise outer.wrong(MEMBER, "a configuration")
    named = {"id": members.optional_id("configId", "config_id")} if found.get("id") is None else {}
    return SetPush(members.required_id("taskId"), push_v0_3.read_config({**found, **named}, outer.at(MEMBER)))


def read_named(params: Mapping[str, Any]) -> NamedPush:
    """Get and delete, both named by the path. Raises InvalidParams."""
    members = Members(params)
    return NamedPush(members.required_id("taskId"), members.required_id("id"))


def read_list(params: Mapping[str, Any]) -> ListPush:
    """Those of one task, named by the path. Raises InvalidParams."""
    return ListPush(Members(params).required_id("taskId"))


def config(task_id: str, stored: PushConfig) -> Json:
    """TaskPushNotificationConfig, without what is secret."""
    name = f"tasks/{task_id}/pushNotificationConfigs/{stored.id}"
    return {"name": name, MEMBER: push_v0_3.config(task_id, stored)[MEMBER]}


def page(task_id: str, configs: Sequence[PushConfig], _next_token: str) -> list[Json]:
    """All of them, as the specification of 0.3 has it (section 3.5.6)."""
    return [config(task_id, each) for each in configs]


def deleted() -> Json:
    """Empty."""
    return {}
