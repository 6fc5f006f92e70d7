"""SQL that stores where the changes of new tasks are delivered, in the statement of the tasks: none of its changes is
missed, and a refused task writes nothing."""

from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.destinations import MOST_PER_OWNER
from asya_gateway.domain.ports import NewTask
from asya_gateway.storage.tasks.written import DESTINATION_COLUMNS, open_up_to_cap

FIELDS = "channel, destination, url, host, options, sealed, revocables"
"""Of each incoming task, besides its own; null without a destination."""
ARGUMENTS = 7

# Arrays of arrays must be rectangles, so that the subjects travel as JSON.
ROWS = f"""aimed AS (
    INSERT INTO destinations ({DESTINATION_COLUMNS})
    SELECT id, channel, destination, owner, ARRAY(SELECT json_array_elements_text(revocables)), url, host, options,
           sealed, 0
    FROM {{fresh}} WHERE url IS NOT NULL
), """

# A range, of which the planner expects little. For an equal owner it might rather read the open ones of all.
OPEN_OF_OWNERS = open_up_to_cap("""
    SELECT FROM destinations d
    WHERE d.owner BETWEEN o.name AND o.name AND NOT d.done AND d.disabled_reason IS NULL""")
"""What still waits for something, of each owner. Each count stops at its cap."""
CAP = MOST_PER_OWNER


def arrays(first: int) -> str:
    """SQL for FIELDS, one array each, in arguments from this number on."""
    types = ("text", "text", "text", "text", "json", "text", "json")
    return ", ".join(f"${first + number}::{kind}[]" for number, kind in enumerate(types))


def destination_columns(batch: Sequence[NewTask]) -> tuple[Any, ...]:
    """The arguments for `arrays`."""
    aims = [each.destination for each in batch]
    return (
        [None if aim is None else aim.channel for aim in aims],
        [None if aim is None else aim.name for aim in aims],
        [None if aim is None else aim.url for aim in aims],
        [None if aim is None else aim.host for aim in aims],
        [None if aim is None else jsontext.dumps(dict(aim.options)) for aim in aims],
        [None if aim is None else aim.sealed for aim in aims],
        [None if aim is None else jsontext.dumps(sorted(aim.revocables)) for aim in aims],
    )
