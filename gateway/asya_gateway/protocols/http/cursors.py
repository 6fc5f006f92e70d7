"""The opaque cursor of task lists: the end of the last page."""

import base64
import binascii
from datetime import datetime

from asya_crds import jsontext
from asya_crds.envelope import format_time, parse_time
from asya_crds.naming import check_id
from asya_gateway.domain.errors import InvalidInput

_LONGEST = 2048


def cursor_of(at: datetime, task_id: str) -> str:
    """The cursor of the page after the task at this place: the time by which the list is ordered, and its id."""
    text = jsontext.dumps([format_time(at), task_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, field: str = "cursor", member: str = "next_cursor") -> tuple[datetime, str]:
    """The (time, id) in a cursor of cursor_of. `field` is where the caller sent it, `member` where it was returned.
    Raises InvalidInput."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        moment, task_id = jsontext.loads(decoded)
        at = parse_time(moment) if isinstance(moment, str) else None
        if at is None:
            raise ValueError
        return at, check_id(task_id)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidInput(f"expected a {member} of an earlier answer", field=field) from None
