"""Names shared by several programs: labels, annotations, headers, crew actors, identifiers."""

import re

GROUP = "asya.sh"
API_VERSION = f"{GROUP}/v1alpha1"
"""The API version of Flow and AsyncActor."""
COMPONENT_LABEL = "asya.sh/component"
ACTOR_LABEL = "asya.sh/actor"
FLAVOR_LABEL = "asya.sh/flavor"
"""On an EnvironmentConfig: the name of the flavor."""
FLOWS_CONFIGMAP = "gateway-flows"

SINK = "x-sink"
SUMP = "x-sump"
PAUSE = "x-pause"
RESUME = "x-resume"
CREW = (SINK, SUMP, PAUSE, RESUME)
"""The four crew actors; a flow's route never names sink or sump itself (../docs/protocols/mesh.md)."""

HEADER_GATEWAY_URL = "x-asya-gateway-url"
HEADER_MESH_STATUS = "x-asya-mesh-status"
HEADER_RESUME_TASK = "x-asya-resume-task"
HEADER_PAUSE = "x-asya-pause"
HEADER_PAUSE_ID = "x-asya-pause-id"
HEADER_RESUME_CHECKPOINT = "x-asya-resume-checkpoint"
HEADER_INCARNATION = "x-asya-incarnation"
HEADER_A2A_TASK = "x-asya-a2a-task-id"
HEADER_A2A_CONTEXT = "x-asya-a2a-context-id"
A2A_SKILL_EXTENSION = "urn:asya:a2a:skill:v1"
"""The A2A extension whose metadata names the skill of a message: {"skillId": …}."""
A2A_NOT_PARTS = "urn:asya:a2a:not-parts:v1"
"""The member of an artifact's metadata that says why it is data although its actor has returned parts."""
HEADER_CALLER = "x-asya-caller"
HEADER_ORIGIN = "x-asya-origin-id"
"""In a message merged by a fan-in: the task that it is the result of."""
HEADER_FAN_IN = "x-asya-fan-in"
HEADER_FLOW = "x-asya-flow"
HEADER_HOOK = "x-asya-hook"
RESUME_PREFIX = "resume-"
"""A resume envelope's id is this and the task's id; its reports belong to the task."""

DEAD_LETTERS = "dlq"
"""The last part of the dead-letter queue's name."""
MAX_ID_LENGTH = 255
WORDS_FOR_IDS = ("config-reload", "registry")
"""Words used in routes in the place of a task's id. No task may have them as its id."""
_ACTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_FLOW = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")


def queue_name(namespace: str, actor: str) -> str:
    """`asya-{namespace}-{actor}`, exactly as existing sidecars, autoscalers and consoles expect it."""
    return f"asya-{namespace}-{actor}"


def check_actor_name(name: str) -> str:
    """A DNS label of at most 63 characters (RFC 1123); raises ValueError saying so."""
    if not _ACTOR.fullmatch(name):
        raise ValueError("expected an actor name: lower-case letters, digits and '-', at most 63 characters")
    return name


def check_own_actor(name: str) -> str:
    """The name of an actor that users may run or route to; raises ValueError."""
    if name == DEAD_LETTERS:
        raise ValueError(f"expected another name: {DEAD_LETTERS} is the queue of dead letters")
    return check_actor_name(name)


def check_flow_name(name: str) -> str:
    """1 to 64 of letters, digits, '_', '.', '-', which every protocol accepts as a tool name; raises ValueError."""
    if not _FLOW.fullmatch(name):
        raise ValueError(
            "expected a flow name: letters, digits, '_', '.' and '-', beginning and ending with a letter or "
            "digit, at most 64 characters"
        )
    return name


ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
"""The characters of an identifier, as a regular expression valid in Python and ECMA 262. It excludes control
characters, and invisible or reordering ones, which would make two ids look alike in a log."""
_ID = re.compile(ID_PATTERN.removesuffix("]+$").removeprefix("^") + r"\ud800-\udfff]+")


def check_id(value: object, *, longest: int = MAX_ID_LENGTH) -> str:
    """An opaque identifier: 1 to `longest` visible characters (ID_PATTERN), no lone surrogates.

    Raises ValueError with what was expected.
    """
    if not isinstance(value, str):
        raise ValueError("expected a string")
    if not 1 <= len(value) <= longest:
        raise ValueError(f"expected 1 to {longest} characters")
    if not _ID.fullmatch(value):
        raise ValueError("expected printable characters only (no control characters, no lone surrogates)")
    if value in (".", ".."):
        # Clients resolve these in a path before they send it (RFC 3986, section 5.2.4): no URL can name them.
        raise ValueError("expected more than dots")
    return value


def check_own_id(value: object) -> str:
    """An id that a caller chooses for a task; raises ValueError."""
    found = check_id(value)
    if found in WORDS_FOR_IDS:
        raise ValueError(f"expected another id: {found} is a word of mesh's routes")
    return found
