"""The incarnations of a task, and how ids, headers and claims write them.

The work before the first answer is incarnation 0, and each accepted answer begins the next. Our x-resume continues
along the route that paused. Another crew starts a new route, in which places count from 0 again. A hop is therefore
named by the incarnation in which its route began and by its place in that route. Incarnation 0 is left out of every
name, as in versions without incarnations, so that workers of both versions meet in one claim and create the same
children and pauses.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_crds.naming import HEADER_INCARNATION, RESUME_PREFIX

LARGEST = 999_999
_RESUME = "resume"
_LATER = re.compile(r"resume\.([2-9]|[1-9][0-9]{1,5})-(.+)", re.DOTALL)
_HEADER = re.compile(r"([1-9][0-9]{0,5})(?:\.([1-9][0-9]{0,5}))?/(.+)", re.DOTALL)


class Reported(NamedTuple):
    """What an id in a report names. `incarnation` is None for the task's own id."""

    task_id: str
    incarnation: int | None


class Incarnation(NamedTuple):
    """The incarnation of an envelope: the `number` of answers before it, and the incarnation in which its route
    `began`."""

    number: int
    began: int

    def hop(self, place: int) -> str:
        """The name of the hop at this place in the route."""
        return hop_name(self.began, place)


def resume_id(task_id: str, incarnation: int) -> str:
    """The id of the envelope that carries the answer which began this incarnation (from 1): `resume-<task>` for the
    first, as existing crews expect, and `resume.<n>-<task>` for later ones. The crew that takes it reports under this
    id."""
    return f"{RESUME_PREFIX}{task_id}" if incarnation == 1 else f"resume.{incarnation}-{task_id}"


def resolve(reported: str) -> Reported:
    """The task that an id names, its own or one made by resume_id."""
    if not reported.startswith(_RESUME):
        return Reported(reported, None)
    if found := _LATER.fullmatch(reported):
        return Reported(found[2], int(found[1]))
    task_id = reported.removeprefix(RESUME_PREFIX)
    return Reported(task_id, 1) if task_id and task_id != reported else Reported(reported, None)


def hop_name(began: int, place: int | str) -> str:
    """A hop within its task: `<place>` where its route began in incarnation 0, else `<began>.<place>`."""
    return f"{began}.{place}" if began else str(place)


def incarnation_header(task_id: str, incarnation: Incarnation) -> dict[str, str]:
    """The header that gives the incarnation of an envelope under the task's own id: `<number>/<task>`, or
    `<number>.<began>/<task>`. It names the task because children of a fan-out inherit headers but have their own
    incarnations."""
    began = f".{incarnation.began}" if incarnation.began else ""
    return {HEADER_INCARNATION: f"{incarnation.number}{began}/{task_id}"}


_FIRST = Incarnation(0, 0)


def incarnation_of(envelope_id: str, headers: Mapping[str, Any]) -> Incarnation:
    """The incarnation of an envelope, from its header or its id."""
    value = headers.get(HEADER_INCARNATION)
    if value is None and not envelope_id.startswith(_RESUME):
        return _FIRST
    if isinstance(value, str) and (found := _HEADER.fullmatch(value)) and found[3] == envelope_id:
        return Incarnation(int(found[1]), int(found[2] or 0))
    number = resolve(envelope_id).incarnation or 0
    return Incarnation(number, number)
