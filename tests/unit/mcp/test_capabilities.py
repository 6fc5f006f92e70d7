"""What a client has declared that it can do."""

from typing import Any

import pytest

from asya_gateway.protocols.mcp.capabilities import TASKS_EXTENSION, ClientCapabilities


@pytest.mark.parametrize(
    ("elicitation", "form", "url"),
    [
        ({}, True, False),
        ({"form": {}}, True, False),
        ({"url": {}}, False, True),
        ({"form": {}, "url": {}}, True, True),
        (None, False, False),
        (True, False, False),
    ],
)
def test_an_empty_elicitation_capability_means_forms_only(elicitation: Any, form: bool, url: bool) -> None:
    """client/elicitation, "Capabilities": "an empty capabilities object is equivalent to declaring support for form
    mode only"."""
    client = ClientCapabilities({"elicitation": elicitation})
    assert (client.form, client.url) == (form, url)


def test_a_member_that_is_no_object_declares_nothing() -> None:
    values: tuple[Any, ...] = (None, True, 1, "x", [])
    for value in values:
        client = ClientCapabilities({"sampling": value, "roots": value, "extensions": value})
        assert [client.sampling, client.roots, client.tasks] == [False, False, False]


def test_tasks_are_declared_by_the_extension_alone() -> None:
    assert ClientCapabilities({"extensions": {TASKS_EXTENSION: {}}}).tasks
    assert not ClientCapabilities({"tasks": {}, "extensions": {"tasks": {}}}).tasks
