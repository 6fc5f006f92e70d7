"""A task's error as one line."""

from asya_cli.rendering import error_text


def test_an_exception_is_named_by_its_type_since_its_words_may_say_nothing() -> None:
    error = {"code": "actor_error", "message": "'nam'", "class": "business", "actor": "greeter", "attempts": 1}
    assert error_text({**error, "details": {"type": "KeyError"}}) == "KeyError: 'nam' (business in greeter)"
    assert error_text({**error, "details": "anything"}) == "'nam' (business in greeter)"
    assert error_text(error) == "'nam' (business in greeter)"
