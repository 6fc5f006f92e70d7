"""What a round of a session needs to go on elsewhere: it stands in the row of the round's first request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asya_crds import jsontext
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.mrtr.rounds import RoundState
from asya_gateway.protocols.mcp.mrtr.state import LONGEST_STATE, new_id, state_text
from asya_gateway.protocols.mcp.sessions.call import SessionCall

_PURPOSE = "input"


@dataclass(frozen=True, slots=True)
class SessionState:
    """`params` are the call's own, `attempts` how often each key was asked. `own_key` is the caller's idempotency key:
    whoever goes on with the call no longer has the request that brought it."""

    params: Mapping[str, Any]
    id: str = field(default_factory=new_id)
    standing: RoundState = field(default_factory=RoundState)
    attempts: Mapping[str, int] = field(default_factory=dict)
    own_key: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key of the call, so that two replicas that go on with it make one task."""
        return self.own_key or f" mrtr {self.id}"

    def purpose(self, key: str) -> str:
        """What names a request for this input: whoever asks again for the same purpose gets the same request."""
        return f"{_PURPOSE}:{self.id}:{self.attempts.get(key, 0)}:{key}"

    def at(self, standing: RoundState) -> "SessionState":
        """The same call at a later standing."""
        return replace(self, standing=standing)

    def after(self, asked: Iterable[str]) -> "SessionState":
        """The same call after these inputs were asked once more."""
        return replace(self, attempts={**self.attempts, **{key: self.attempts.get(key, 0) + 1 for key in asked}})

    def text(self) -> str:
        """Its JSON. Raises InvalidParams if arguments and answers are too large."""
        standing = self.standing
        text = state_text(
            {
                "params": dict(self.params),
                "id": self.id,
                "round": standing.round,
                "answers": dict(standing.answers),
                "declines": standing.declines,
                "attempts": dict(self.attempts),
                "key": self.own_key,
            }
        )
        if text is None:
            raise InvalidParams(f"expected arguments and answers of at most {LONGEST_STATE} characters together")
        return text

    @classmethod
    def new(cls, params: Mapping[str, Any], own_key: str | None) -> "SessionState":
        """Before the first round."""
        return cls({name: value for name, value in params.items() if name != "_meta"}, own_key=own_key)

    @classmethod
    def read(cls, text: str) -> "SessionState":
        """What `text` wrote."""
        value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
        standing = RoundState(value["answers"], value["round"], value["declines"])
        return cls(value["params"], value["id"], standing, value["attempts"], value["key"])


def key_of_purpose(purpose: str) -> str:
    """The input's key."""
    return purpose.rsplit(":", 1)[1]


async def stored_state(call: SessionCall) -> SessionState | None:
    """The state of the call's last round that was asked; None if none was. Raises Unavailable."""
    found = [each.state for each in await call.asked_before() if each.state is not None]
    return SessionState.read(found[-1]) if found else None
