"""Configurations of push notifications in A2A 0.3 and before: nested, with a list of schemes (the types of release
v0.3.0). The oldest dialect differs in the name of the task's id alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_gateway.protocols.a2a.dialects.push_checks import checked
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import ListPush, NamedPush, PushConfig, SetPush
from asya_gateway.protocols.a2a.reading import Members

Json = dict[str, Any]

MEMBER = "pushNotificationConfig"


def read_set(params: Mapping[str, Any]) -> SetPush:
    """TaskPushNotificationConfig; its task is `taskId`, in 0.1 `id`. Raises InvalidParams."""
    members = Members(params)
    found = members.get(MEMBER)
    if found is None:
        raise members.wrong(MEMBER, "a configuration")
    return SetPush(members.required_id("taskId", "id"), read_config(found, MEMBER))


def read_config(value: Any, path: str) -> PushConfig:
    """A PushNotificationConfig. The first scheme is used. Raises InvalidParams."""
    members = Members.of(value, path)
    found = members.members("authentication") or Members({}, members.at("authentication"))
    schemes, credentials = found.texts("schemes"), found.text("credentials")
    if credentials and not schemes:
        raise InvalidParams(found.at("schemes"), "expected a scheme for the credentials")
    config = PushConfig(
        url=members.text("url"),
        id=members.optional_id("id"),
        token=members.text("token"),
        scheme=schemes[0] if schemes else "",
        credentials=credentials,
    )
    return checked(config, members, "authentication.schemes[0]")


def read_named(params: Mapping[str, Any]) -> NamedPush:
    """Get and delete: the task is `id`, and a configuration need not be named. Raises InvalidParams."""
    members = Members(params)
    return NamedPush(members.required_id("id", "taskId"), members.optional_id("pushNotificationConfigId"))


def read_list(params: Mapping[str, Any]) -> ListPush:
    """ListTaskPushNotificationConfigParams. Raises InvalidParams."""
    return ListPush(Members(params).required_id("id", "taskId"))


def config(task_id: str, stored: PushConfig, of_task: str = "taskId") -> Json:
    """TaskPushNotificationConfig, without what is secret."""
    found: Json = {"id": stored.id, "url": stored.url}
    if stored.scheme:
        found["authentication"] = {"schemes": [stored.scheme]}
    return {of_task: task_id, MEMBER: found}


def oldest_config(task_id: str, stored: PushConfig) -> Json:
    """The same in 0.1."""
    return config(task_id, stored, "id")


def page(task_id: str, configs: Sequence[PushConfig], _next_token: str) -> list[Json]:
    """All of them: this dialect has no pages."""
    return [config(task_id, each) for each in configs]


def deleted() -> None:
    """null, which must be there."""
