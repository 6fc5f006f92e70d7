"""Scopes, and the rights that they give.

| scope | gives |
|---|---|
| `mcp:read` | `flow:*:read`, and the caller's own tasks |
| `mcp:invoke` | `flow:*:invoke` |
| `flow:<name>:read` | lists the flow, reads and streams the caller's own tasks of it; `*` stands for every flow |
| `flow:<name>:invoke` | the same, and calls it; answers, cancels and retries the caller's own tasks of it |
| `flow:<name>:*` | both |
| `task:<flow>:read` | reads everybody's tasks of the flow; `any` stands for every flow |
| `task:<flow>:cancel`, `task:<flow>:answer` | the same, and cancels them or answers their questions |

Any other word is a scope that a flow may require of its callers. One that begins with `mcp:`, `flow:` or `task:` and
has none of these forms gives nothing, and neither does one that would have such a form but for a slip in its first
word (`taks:any:answer`); whoever writes it down for a caller is told (`expected_form`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from asya_crds.naming import MAX_ID_LENGTH
from asya_gateway.domain.identity.slips import is_slip

READ_SCOPE = "mcp:read"
INVOKE_SCOPE = "mcp:invoke"
COMMON_SCOPES = frozenset({READ_SCOPE, INVOKE_SCOPE})
"""What every caller gets of whom nothing else is said: it may use every flow that requires no scopes of its own."""

MOST_SCOPES = 256
"""Scopes of one caller."""
LONGEST_SCOPE = 256
CACHED_SCOPES = 2048
"""Most characters of a set of scopes whose rights are kept for all who have it."""

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_SEGMENT = rf"[^:\s]{{1,{MAX_ID_LENGTH}}}"
_FLOW = re.compile(rf"flow:({_SEGMENT}):(read|invoke|\*)")
_TASK = re.compile(rf"task:({_SEGMENT}):(read|cancel|answer)")

_FORMS = {
    "mcp": f"{READ_SCOPE} or {INVOKE_SCOPE}",
    "flow": "flow:NAME:read, flow:NAME:invoke or flow:NAME:*, where NAME is a flow or *",
    "task": "task:FLOW:read, task:FLOW:cancel or task:FLOW:answer, where FLOW is a flow or any",
}
"""What is expected of scopes that begin with these words and a colon."""

EVERY_FLOW = EVERY_VERB = "*"
ANY_TASK = "any"


class TaskVerb(StrEnum):
    """What may be done to a task of somebody else. CANCEL and ANSWER include READ."""

    READ = "read"
    CANCEL = "cancel"
    ANSWER = "answer"


def is_scope(text: str) -> bool:
    """Whether this is a scope token (RFC 6749, section 3.3) of bounded length."""
    return len(text) <= LONGEST_SCOPE and _TOKEN.fullmatch(text) is not None


def is_known(scope: str) -> bool:
    """Whether the gateway itself gives this scope a meaning, whatever flows require."""
    return scope in COMMON_SCOPES or bool(_FLOW.fullmatch(scope) or _TASK.fullmatch(scope))


def expected_form(scope: str) -> str | None:
    """The forms of a scope that begins like one of the gateway's and is none of them, or would be one but for a slip in
    its first word, so that it would give nothing; None if there is no such mistake in it."""
    first, colon, rest = scope.partition(":")
    if not colon or is_known(scope):
        return None
    if first in _FORMS:
        return _FORMS[first]
    return next((form for word, form in _FORMS.items() if is_known(f"{word}:{rest}") and is_slip(first, word)), None)


def split_scopes(text: str) -> frozenset[str]:
    """The scopes in a space-separated list (RFC 6749, section 3.3). Raises ValueError for one that is no scope, or for
    too many."""
    found = text.split(" ", MOST_SCOPES + 1)
    if len(found) > MOST_SCOPES:
        raise ValueError(f"expected at most {MOST_SCOPES} scopes")
    scopes = frozenset(found) - {""}
    if not all(map(is_scope, scopes)):
        raise ValueError("expected scopes of visible characters without quotes and backslashes, separated by spaces")
    return scopes


@dataclass(frozen=True, slots=True)
class Flows:
    """A set of flow names: some, or every one."""

    names: frozenset[str] = frozenset()
    every: bool = False

    def __contains__(self, name: object) -> bool:
        return self.every or name in self.names

    def __bool__(self) -> bool:
        return self.every or bool(self.names)

    def __or__(self, other: "Flows") -> "Flows":
        return Flows(self.names | other.names, self.every or other.every)

    @classmethod
    def of(cls, segments: Iterable[str], every: str) -> "Flows":
        """The flows that the segments of scopes name; `every` is the word for all of them."""
        names = frozenset(segments)
        return cls(names - {every}, every in names)


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """What a set of scopes gives. Made once for each common set (`rights_of`), asked for each request."""

    scopes: frozenset[str]
    reads: Flows
    """Flows that are listed, and whose own tasks are read."""
    invokes: Flows
    """Flows that may be called; a flow may require further scopes."""
    tasks: dict[TaskVerb, Flows]
    """Flows of whose tasks everybody's are reached."""


def rights_of(scopes: frozenset[str]) -> Rights:
    """The rights that these scopes give together."""
    return _common(scopes) if sum(map(len, scopes)) <= CACHED_SCOPES else _made(scopes)


def _made(scopes: frozenset[str]) -> Rights:
    verbs: dict[str, set[str]] = {"read": set(), "invoke": set()}
    if READ_SCOPE in scopes:
        verbs["read"].add(EVERY_FLOW)
    if INVOKE_SCOPE in scopes:
        verbs["invoke"].add(EVERY_FLOW)
    others: dict[TaskVerb, set[str]] = {verb: set() for verb in TaskVerb}
    for scope in scopes:
        if match := _FLOW.fullmatch(scope):
            verbs["invoke" if match[2] == EVERY_VERB else match[2]].add(match[1])
        elif match := _TASK.fullmatch(scope):
            others[TaskVerb(match[2])].add(match[1])
    others[TaskVerb.READ] |= others[TaskVerb.CANCEL] | others[TaskVerb.ANSWER]
    invokes = Flows.of(verbs["invoke"], EVERY_FLOW)
    return Rights(
        scopes=scopes,
        reads=Flows.of(verbs["read"], EVERY_FLOW) | invokes,
        invokes=invokes,
        tasks={verb: Flows.of(names, ANY_TASK) for verb, names in others.items()},
    )


_common = lru_cache(maxsize=1024)(_made)
