"""Which flow a message is for."""

from collections.abc import Mapping
from typing import Any

from asya_crds.naming import A2A_SKILL_EXTENSION
from asya_gateway.domain.errors import FlowNotFound
from asya_gateway.domain.flows import FlowRegistry, ServedFlow
from asya_gateway.domain.identity.access import sees
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.protocols.a2a.errors import INVALID_PARAMS, A2aError
from asya_gateway.protocols.a2a.model import SendRequest
from asya_gateway.protocols.a2a.reading import LONGEST_ID

KEYS = ("skill", "skillId")


def chosen(flows: FlowRegistry, send: SendRequest, caller: Caller, path: str = "") -> ServedFlow:
    """The flow of a message that begins a task: by the path, the tenant, the extension's metadata, `skill` or `skillId`
    in the metadata of request or message, or the only one there is. Raises FlowNotFound, Denied, and A2aError that
    lists the skills."""
    name = path or send.tenant or _named(send.metadata) or _named(send.message.metadata)
    if name:
        return flows.skill(name[:LONGEST_ID], caller)
    names = flows.skills(caller)
    if not names:
        raise FlowNotFound("there is no skill", field="skill")
    if len(names) == 1:
        return flows.skill(names[0], caller)
    listed = f"expected metadata.skill to name one of: {', '.join(names)}"
    raise A2aError(INVALID_PARAMS, listed, details={"skills": ",".join(names)}, fields=[("metadata.skill", listed)])


def listed(flows: FlowRegistry, caller: Caller, name: str = "") -> frozenset[str]:
    """The skills whose tasks a list shows: the one of this name, or all that the caller sees. Raises FlowNotFound."""
    if name:
        return frozenset({flows.seen_skill(name[:LONGEST_ID], caller).flow.name})
    return frozenset(
        name for name, served in flows.table.flows.items() if served.flow.a2a is not None and sees(caller, served.flow)
    )


def _named(metadata: Mapping[str, Any]) -> str:
    extension = metadata.get(A2A_SKILL_EXTENSION)
    sources = [extension] if isinstance(extension, Mapping) else []
    for source in [*sources, metadata]:
        for key in KEYS:
            value = source.get(key)
            if isinstance(value, str) and value:
                return value
    return ""
