"""A request that has been read, with the parts of the gateway that its operation may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web import AppKey

from asya_crds.offloading import Offload
from asya_gateway.domain.conversation_lists import ConversationLists
from asya_gateway.domain.conversations import Conversations
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.a2a.dialects.known import Dialect
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.idempotency import idempotency_key
from asya_gateway.protocols.http.keys import FLOWS, OFFLOAD, READINESS, SETTINGS, TASKS
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.settings import Settings

CONVERSATIONS: AppKey[Conversations] = AppKey("CONVERSATIONS")
CONVERSATION_LISTS: AppKey[ConversationLists] = AppKey("CONVERSATION_LISTS")
SURFACE = "a2a"
PATH = "/a2a"
OF_SKILL = f"{PATH}/{{skill:[A-Za-z0-9][^/:%]*}}"
"""The path of one flow. Its name has neither the first character of `.well-known` nor the colon of a custom verb."""
VERSION_HEADER = "A2A-Version"


def version_of(http: web.BaseRequest) -> str | None:
    """The version that the client says, by header or query."""
    return (http.headers.get(VERSION_HEADER) or http.query.get(VERSION_HEADER) or "").strip() or None


def spoken_headers(dialect: Dialect) -> dict[str, str]:
    """The headers that tell the version of an answer."""
    return {VERSION_HEADER: dialect.name}


@dataclass(frozen=True, slots=True)
class A2aRequest:
    """`skill` is the flow that the path names, "" if it names none."""

    http: web.Request
    dialect: Dialect
    caller: Caller
    skill: str
    tasks: Tasks
    flows: FlowRegistry
    conversations: Conversations
    lists: ConversationLists
    settings: Settings
    readiness: Readiness
    offload: Offload
    key: str | None
    trace: Mapping[str, str]

    def block_limit(self) -> WaitLimit:
        """How long a message waits for its task, from now on."""
        return WaitLimit.within(self.settings.a2a_block, self.settings, lambda: self.readiness.draining)

    @classmethod
    def of(cls, http: web.Request, dialect: Dialect) -> "A2aRequest":
        """Raises InvalidInput for a malformed Idempotency-Key."""
        app = http.app
        return cls(
            http=http,
            dialect=dialect,
            caller=caller_of(http),
            skill=http.match_info.get("skill", ""),
            tasks=app[TASKS],
            flows=app[FLOWS],
            conversations=app[CONVERSATIONS],
            lists=app[CONVERSATION_LISTS],
            settings=app[SETTINGS],
            readiness=app[READINESS],
            offload=app[OFFLOAD],
            key=idempotency_key(http.headers),
            trace=trace_headers(http.headers),
        )
