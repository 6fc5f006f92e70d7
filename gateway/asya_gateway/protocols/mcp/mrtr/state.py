"""requestState: the standing of a call, sealed, so that any replica can go on with it (patterns/mrtr, "Server
Requirements").

It is bound to the principal, the method, the parameters without what rounds add, the flow and what it asks. A state
that does not fit, that was changed or that is too old looks the same to its sender, who thus learns nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.large_json import places
from asya_gateway.domain.sealing import Sealing
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.mrtr.rounds import RoundState
from asya_gateway.protocols.mcp.request_context import RequestContext

LIFETIME = 300.0
"""Seconds in which a round is to be answered."""
LONGEST_STATE = 256 * 1024
"""Characters of a requestState."""
ADDED = frozenset({"_meta", "inputResponses", "requestState", "task"})
"""Parameters that differ between the rounds of one call."""
_PURPOSE = "mcp request state 1"


class InvalidState(InvalidParams):
    """A state that this request must not use, for whatever reason."""

    def __init__(self) -> None:
        super().__init__("Invalid or expired requestState")


@dataclass(frozen=True, slots=True)
class RequestState:
    """A standing under the id of its call, the same in all rounds."""

    id: str
    standing: RoundState


class States:
    """Seals and opens the states of one request."""

    def __init__(self, sealing: Sealing, about: bytes) -> None:
        self._sealing = sealing
        self._about = about

    @classmethod
    async def of(cls, context: RequestContext, flow: Flow) -> "States":
        """Those of this request. Raises Overloaded."""
        assert flow.mcp is not None  # only exposed flows are called
        params = {name: value for name, value in context.params.items() if name not in ADDED}
        rounds = [
            {key: asked.model_dump(mode="json", exclude_none=True) for key, asked in inputs.items()}
            for inputs in flow.mcp.input
        ]
        about = (_PURPOSE, context.caller.owner, context.method, params, flow.name, flow.mcp.input_key, rounds)
        return cls(context.sealing, await context.tasks.digest(*about))

    async def opened(self, params: Mapping[str, Any]) -> RequestState | None:
        """The state that the request brings; None if it brings none. Raises InvalidState, Unavailable."""
        if "requestState" not in params:
            return None
        sealed = params["requestState"]
        if not isinstance(sealed, str) or len(sealed) > LONGEST_STATE:
            raise InvalidState
        text = await self._sealing.unseal(sealed, self._about)
        if text is None:
            raise InvalidState
        value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
        return RequestState(value["id"], RoundState(value["answers"], value["round"], value["declines"]))

    async def sealed(self, state: RequestState) -> str:
        """The text for the client. Raises InvalidParams if the answers are too large, Unavailable."""
        standing = state.standing
        value = {
            "id": state.id,
            "round": standing.round,
            "answers": standing.answers,
            "declines": standing.declines,
        }
        text = state_text(value)
        sealed = "" if text is None else await self._sealing.seal(text, self._about, LIFETIME)
        if text is None or len(sealed) > LONGEST_STATE:
            raise InvalidParams(
                f"inputResponses: expected answers that fit into a requestState of {LONGEST_STATE} characters together"
            )
        return sealed


def state_text(value: dict[str, Any]) -> str | None:
    """JSON text of at most LONGEST_STATE characters; None if it would be longer. What has as many values as that is not
    encoded first."""
    if places(value, LONGEST_STATE) > LONGEST_STATE:
        return None
    text = jsontext.dumps(value)
    return text if len(text) <= LONGEST_STATE else None


def new_id() -> str:
    """An id of a call, which nobody can guess."""
    return os.urandom(16).hex()
