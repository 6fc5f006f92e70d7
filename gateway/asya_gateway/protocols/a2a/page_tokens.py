"""The opaque page tokens of ListTasks: the position behind a page, as one or two cursors."""

from asya_gateway.domain.conversation_lists import Place, Position
from asya_gateway.protocols.http.cursors import cursor_of, read_cursor

_BEYOND = "older."
"""Begins a position among the tasks that are not sorted. No cursor has a dot."""


def page_token(position: Position) -> str:
    """The token of the page behind a position."""
    text = cursor_of(*position.place)
    if position.beyond:
        return _BEYOND + text
    return text if position.oldest is None else f"{text}.{cursor_of(*position.oldest)}"


def read_page_token(token: str) -> Position:
    """The position in a token of page_token. Raises InvalidInput."""
    if token.startswith(_BEYOND):
        return Position(_place(token.removeprefix(_BEYOND)), beyond=True)
    place, dot, oldest = token.partition(".")
    return Position(_place(place), _place(oldest) if dot else None)


def _place(cursor: str) -> Place:
    return read_cursor(cursor, "pageToken", "nextPageToken")
