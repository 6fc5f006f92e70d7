"""Unknown members and parameters are refused by name, because a misspelled one would be ignored silently."""

from typing import Any

import pytest

from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def gateway(standing: Gateway) -> Gateway:
    """None of these tests stores anything."""
    return standing


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/tools/call", {"name": "anything", "argument": {"text": "x"}}, "argument"),
        ("/tools/call", {"name": "anything", "arguments": {}, "wait": 3}, "wait"),
        ("/tasks/t/cancel", {"reson": "no"}, "reson"),
        ("/tasks/t/resume", {"answer": 1, "pauseId": "p"}, "pauseId"),
        ("/tasks/t/resume", {"answers": 1}, "answers"),
        ("/tools/call?wait=3", {"name": "anything"}, "wait"),
        ("/tasks/t/cancel?reason=no", {}, "reason"),
        ("/tasks/t/resume?pause_id=p", {"answer": 1}, "pause_id"),
        ("/tools/call", {"name": "anything", "a\u202eb" + "x" * 100: 1}, "a\ufffdb" + "x" * 61),
    ],
)
async def test_an_unknown_member_or_parameter_is_400_naming_it(
    gateway: Gateway, path: str, body: Any, field: str
) -> None:
    status, answer = await gateway.post(path, body)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "invalid_input", field)
    assert await gateway.stored() == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/tasks?state=failed", "state"),
        ("/tasks?Status=failed", "Status"),
        ("/tasks?status=failed&status=running", "status"),
        ("/tasks?limit=", "limit"),
        ("/tasks?limit=5&limit=5", "limit"),
        ("/tasks/t?payload=false", "payload"),
    ],
)
async def test_an_unknown_or_repeated_parameter_of_a_list_is_400_naming_it(
    gateway: Gateway, path: str, field: str
) -> None:
    status, answer = await gateway.get(path, headers={"Accept": "application/json"})
    assert (status, answer["error"]["field"]) == (400, field)
