"""Live events as text of one byte a character."""

from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_gateway.storage.log.fly import one_byte_a_character

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=[]))
    | st.just('\\"\\\\é"\\u00e9'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_the_text_is_ascii_and_says_the_same(value: object) -> None:
    text = one_byte_a_character(jsontext.dumps(value))
    assert text.isascii()
    assert "\n" not in text
    assert jsontext.loads(text) == value
