"""Page tokens of lists: what one says is read again, and everything else is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.conversation_lists import Position
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.a2a.page_tokens import page_token, read_page_token
from asya_gateway.protocols.http.cursors import cursor_of

AT = datetime(2026, 7, 28, 12, 30, 1, 234567, tzinfo=UTC)
PLACE, OLDEST = (AT, "a.task-1"), (AT - timedelta(days=400), "older.2")


@pytest.mark.parametrize(
    "position",
    [Position(PLACE), Position(PLACE, OLDEST), Position(OLDEST, PLACE), Position(PLACE, beyond=True)],
)
def test_a_token_says_where_the_list_continues(position: Position) -> None:
    assert read_page_token(page_token(position)) == position


def test_a_token_of_the_version_before_is_a_position_without_older_tasks() -> None:
    assert read_page_token(cursor_of(*PLACE)) == Position(PLACE)


@given(text=st.text())
@pytest.mark.parametrize("pattern", ["{}", "older.{}", "{}.", ".{}", "older.older.{}", cursor_of(*PLACE) + ".{}x"])
def test_any_other_token_is_refused_by_the_name_of_its_member(pattern: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_page_token(pattern.format(text))
    assert refused.value.field == "pageToken"
