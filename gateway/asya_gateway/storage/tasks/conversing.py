"""SQL that stores the conversations of new tasks in the statement of the tasks: neither is there without the other, and
a refused task writes nothing."""

from collections.abc import Sequence
from typing import Any

from asya_gateway.domain.ports import NewTask
from asya_gateway.storage.columns import NULL, joined, split
from asya_gateway.storage.tasks.written import INTO_MESSAGES

FIELDS = "dialect, client_context, client_task_id, reply, message"
"""Of each incoming task, besides its own; null without a conversation."""
ARGUMENTS = 6
SMALL = 256 * 1024
"""Messages of at most this many characters together travel as one text, more of them as an array."""

_NAMED = "task_id, owner, dialect, context_id, client_task_id, reply"
_INCOMING = "id, owner, dialect, client_context, client_task_id, reply"

ROWS = f"""conversed AS (
    INSERT INTO a2a_tasks ({_NAMED}) SELECT {_INCOMING} FROM {{fresh}} WHERE dialect IS NOT NULL
), """
"""For conversations whose client gave its task no name: nothing can be in their way."""

# In the order of the names, so that two batches cannot wait for each other.
NAMED_ROWS = f"""conversed AS (
    INSERT INTO a2a_tasks ({_NAMED}) SELECT {_INCOMING} FROM incoming WHERE dialect IS NOT NULL AND {{where}}
    ORDER BY owner COLLATE "C", client_task_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING task_id
), """
"""For those whose client may have used the name before. They are not returned then."""

MESSAGES = f"""said AS (
    {INTO_MESSAGES} SELECT id, 1, message FROM {{fresh}} WHERE dialect IS NOT NULL
), """

NAMES_TAKEN = """
SELECT r.id, r.name FROM unnest($1::text[], $2::text[], $3::text[]) AS r(id, owner, name)
JOIN a2a_tasks a ON a.owner = r.owner AND a.client_task_id = r.name AND a.task_id <> r.id
"""


def arrays(first: int) -> str:
    """SQL for FIELDS, one array each, in arguments from this number on."""
    texts = ", ".join(split(first + number) for number in range(4))
    return f"{texts}, coalesce({split(first + 4, 'json')}, ${first + 5}::json[])"


def conversation_columns(batch: Sequence[NewTask]) -> tuple[Any, ...]:
    """The arguments for `arrays`."""
    said = [each.conversation for each in batch]
    messages = [None if each is None else each.message for each in said]
    small = sum(len(message or "") for message in messages) <= SMALL
    return (
        joined([NULL if each is None else each.dialect for each in said]),
        joined([NULL if each is None else each.context_id for each in said]),
        joined([NULL if each is None else each.client_task_id or NULL for each in said]),
        joined([NULL if each is None else each.reply or NULL for each in said]),
        joined([NULL if message is None else message for message in messages]) if small else None,
        None if small else messages,
    )
