"""Configurations of push notifications in A2A 1.0: flat TaskPushNotificationConfig (specification/a2a.proto)."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_gateway.protocols.a2a.dialects.optional import present
from asya_gateway.protocols.a2a.dialects.push_checks import checked
from asya_gateway.protocols.a2a.model import ListPush, NamedPush, PushConfig, SetPush
from asya_gateway.protocols.a2a.reading import Members

Json = dict[str, Any]

LARGEST_PAGE = 100


def read_set(params: Mapping[str, Any]) -> SetPush:
    """CreateTaskPushNotificationConfig. Raises InvalidParams."""
    members = Members(params)
    task_id = members.required_id("taskId", "task_id")
    return SetPush(task_id, read_config(params, ""), members.optional_id("tenant"))


def read_config(value: Any, path: str) -> PushConfig:
    """A configuration, also that of a message, whose taskId says nothing. Raises InvalidParams."""
    members = Members.of(value, path)
    found = members.members("authentication") or Members({}, members.at("authentication"))
    config = PushConfig(
        url=members.text("url"),
        id=members.optional_id("id"),
        token=members.text("token"),
        scheme=found.text("scheme"),
        credentials=found.text("credentials"),
    )
    if found.value and not config.scheme:
        raise found.wrong("scheme", "the name of an HTTP authentication scheme")
    return checked(config, members, "authentication.scheme")


def read_named(params: Mapping[str, Any]) -> NamedPush:
    """GetTaskPushNotificationConfig, DeleteTaskPushNotificationConfig. Raises InvalidParams."""
    members = Members(params)
    task_id = members.required_id("taskId", "task_id")
    return NamedPush(task_id, members.required_id("id"), members.optional_id("tenant"))


def read_list(params: Mapping[str, Any]) -> ListPush:
    """ListTaskPushNotificationConfigs. Raises InvalidParams."""
    members = Members(params)
    size = members.count("pageSize", "page_size") or 0
    if size > LARGEST_PAGE:
        raise members.wrong("pageSize", f"an integer of at most {LARGEST_PAGE}")
    return ListPush(
        members.required_id("taskId", "task_id"),
        size,
        members.text("pageToken", "page_token", longest=1024),
        members.optional_id("tenant"),
    )


def config(task_id: str, stored: PushConfig) -> Json:
    """TaskPushNotificationConfig, without what is secret."""
    found: Json = {"taskId": task_id, "id": stored.id, "url": stored.url}
    return {**found, **({"authentication": {"scheme": stored.scheme}} if stored.scheme else {})}


def page(task_id: str, configs: Sequence[PushConfig], next_token: str) -> Json:
    """ListTaskPushNotificationConfigsResponse."""
    return {"configs": [config(task_id, each) for each in configs], **present(nextPageToken=next_token)}


def deleted() -> Json:
    """google.protobuf.Empty."""
    return {}
