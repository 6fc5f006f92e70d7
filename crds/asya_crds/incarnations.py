"""The incarnations of a task, and how ids, headers and claims spell them.

Each accepted answer begins one, and the work before the first answer is incarnation 0. A hop is named by its
incarnation and its place in the route, since the crew that brings an answer back may begin the route anew.
Incarnation 0 is left out of every name, as in versions that knew none.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_crds.naming import HEADER_INCARNATION, RESUME_PREFIX

LARGEST = 999_999
_LATER = re.compile(r"resume\.([2-9]|[1-9][0-9]{1,5})-(.+)", re.DOTALL)
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")


class Reported(NamedTuple):
    """What an id in a report names; `incarnation` is None where it is the task's own id, which names none."""

    task_id: str
    incarnation: int | None


def resume_id(task_id: str, incarnation: int) -> str:
    """The id of the envelope that brings the answer which began this incarnation (from 1): `resume-<task>` for the
    first, as existing crews know it, `resume.<n>-<task>` for later ones. The crew that goes on under it reports
    under it."""
    return f"{RESUME_PREFIX}{task_id}" if incarnation == 1 else f"resume.{incarnation}-{task_id}"


def resolve(reported: str) -> Reported:
    """The task that an id names, its own or one made by resume_id."""
    if found := _LATER.fullmatch(reported):
        return Reported(found[2], int(found[1]))
    task_id = reported.removeprefix(RESUME_PREFIX)
    return Reported(task_id, 1) if task_id and task_id != reported else Reported(reported, None)


def hop_name(incarnation: int, hop: int | str) -> str:
    """A hop within its task: `<hop>` in incarnation 0, else `<incarnation>.<hop>`."""
    return f"{incarnation}.{hop}" if incarnation else str(hop)


def incarnation_header(task_id: str, incarnation: int) -> dict[str, str]:
    """The header by which an envelope under the task's own id says its incarnation. It names the task, because the
    children of a fan-out inherit headers and have incarnations of their own."""
    return {HEADER_INCARNATION: f"{incarnation}/{task_id}"}


def incarnation_of(envelope_id: str, headers: Mapping[str, Any]) -> int:
    """The incarnation that an envelope belongs to, by its header or its id."""
    value = headers.get(HEADER_INCARNATION)
    if isinstance(value, str):
        number, _, task_id = value.partition("/")
        if task_id == envelope_id and _NUMBER.fullmatch(number):
            return int(number)
    return resolve(envelope_id).incarnation or 0
