"""A task's error as one line."""

from asya_cli.rendering import error_text
from asya_crds.task_json import TaskErrorJson


def test_an_exception_is_named_by_its_type_since_its_words_may_say_nothing() -> None:
    error: TaskErrorJson = {
        "code": "actor_error",
        "message": "'nam'",
        "class": "business",
        "actor": "greeter",
        "attempts": 1,
    }
    assert error_text(error) == "'nam' (business in greeter)"
    error["details"] = "anything"
    assert error_text(error) == "'nam' (business in greeter)"
    error["details"] = {"type": "KeyError"}
    assert error_text(error) == "KeyError: 'nam' (business in greeter)"
