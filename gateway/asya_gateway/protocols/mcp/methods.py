"""The methods of each era, by name."""

from collections.abc import Awaitable, Callable, Mapping

from asya_gateway.protocols.http.holding import HeldRequest
from asya_gateway.protocols.http.policies import Need
from asya_gateway.protocols.mcp import (
    calling,
    completing,
    discovery,
    listening,
    log_messages,
    prompts,
    resource_subscriptions,
    resources,
    tools,
)
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tasks import experimental, extension

Method = Callable[[RequestContext], Awaitable[Result | HeldRequest[Result]]]
"""Returns a result, or a held request that will. Raises RpcError and the domain's errors."""

_COMMON: Mapping[str, Method] = {
    "tools/list": tools.list_tools,
    "tools/call": calling.call_tool,
    "prompts/list": prompts.list_prompts,
    "prompts/get": prompts.get_prompt,
    "resources/list": resources.list_resources,
    "resources/templates/list": resources.list_templates,
    "resources/read": resources.read_resource,
    "completion/complete": completing.complete,
}

STATELESS_METHODS: Mapping[str, Method] = {
    **_COMMON,
    "server/discover": discovery.discover,
    "subscriptions/listen": listening.listen,
    "tasks/get": extension.get_task,
    "tasks/update": extension.update_task,
    "tasks/cancel": extension.cancel_task,
}

NEEDS: Mapping[str, Need] = {
    "tools/list": Need.READ,
    "tools/call": Need.CALL,
    "prompts/list": Need.READ,
    "prompts/get": Need.CALL,
    "resources/list": Need.READ,
    "resources/templates/list": Need.READ,
    "resources/read": Need.READ,
    "completion/complete": Need.READ,
    "server/discover": Need.IDENTITY,
    "subscriptions/listen": Need.READ,
    "tasks/get": Need.READ,
    "tasks/update": Need.INVOKE,
    "tasks/cancel": Need.INVOKE,
    "tasks/result": Need.READ,
    "tasks/list": Need.READ,
    "initialize": Need.IDENTITY,
    "ping": Need.IDENTITY,
    "logging/setLevel": Need.IDENTITY,
    "resources/subscribe": Need.READ,
    "resources/unsubscribe": Need.READ,
}
"""What each method asks of its caller before it looks at anything else (a test holds it against the methods)."""

COUNTED = frozenset(
    {
        "tools/call",
        "prompts/get",
        "resources/read",
        "completion/complete",
        "subscriptions/listen",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
        "tasks/result",
        "tasks/list",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    }
)
"""Methods that count against their caller's rate; lists of what is offered and handshakes do not. Notifications and
responses that change something count, too (transports/notices.py)."""

HOLDING = frozenset({"tools/call", "prompts/get", "resources/read", "subscriptions/listen", "tasks/result"})
"""Methods that may be held, and so count against the limit of held requests."""

HANDSHAKE_METHODS: Mapping[str, Method] = {
    **_COMMON,
    "initialize": discovery.initialize,
    "ping": discovery.ping,
    "tasks/get": experimental.get_task,
    "tasks/result": experimental.task_result,
    "tasks/list": experimental.list_tasks,
    "tasks/cancel": experimental.cancel_task,
    "logging/setLevel": log_messages.set_level,
    "resources/subscribe": resource_subscriptions.subscribe,
    "resources/unsubscribe": resource_subscriptions.unsubscribe,
}
