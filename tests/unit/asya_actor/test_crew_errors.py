"""What the crew reports of the error that a failed envelope carries."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from asya_actor.crew.errors import failure_of
from asya_actor.crew.member import Crew
from asya_actor.crew.sump import sump
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.sending import Onward
from asya_crds.envelope import Envelope, Route, format_time
from asya_crds.status import ErrorClass
from asya_crds.task_error import TaskError
from asya_gateway.protocols.mesh.finals import decode_final


def failed(status: dict[str, object], payload: object = None) -> Envelope:
    stamp = format_time(datetime.now(UTC))
    times = {"created_at": stamp, "updated_at": stamp}
    return Envelope("t1", Route(("worker",), "x-sump", ()), payload, {}, {"phase": "failed", **times, **status})


def test_a_code_inside_the_details_is_reported_with_them() -> None:
    error = {"message": "out of stock", "type": "shop.OutOfStock", "code": "rejected"}
    assert failure_of(failed({"error": error})).as_dict()["code"] == "rejected"
    payload = {"error": "processing_error", "details": error}
    assert failure_of(failed({}, payload)).as_dict()["code"] == "rejected"


def test_an_error_without_a_code_is_reported_without_one() -> None:
    assert "code" not in failure_of(failed({"error": {"message": "no", "type": "ValueError", "code": 7}})).as_dict()


@pytest.mark.parametrize("reason", [[], {}, 5, None, "Timeout"])
def test_a_reason_that_is_not_text_is_ignored(reason: object) -> None:
    found = failure_of(failed({"reason": reason, "error": {"message": "no", "type": "ValueError"}}))
    assert (found.message, found.error_class) == ("no", "runtime" if reason == "Timeout" else "business")


class Client:
    """Takes note of the final report."""

    def __init__(self) -> None:
        self.reported: dict[str, Any] = {}
        self.task_id = ""

    async def final(self, base: str, task_id: str, body: dict[str, Any]) -> None:
        self.task_id, self.reported = task_id, body


@pytest.mark.parametrize("code", ["rejected", None])
async def test_a_final_report_carries_all_that_the_actor_said_of_its_error(code: str | None) -> None:
    error = {"message": "out of stock", "type": "shop.OutOfStock", "mro": ["Exception"], "traceback": "…", "code": code}
    envelope, client = failed({"error": error}), Client()
    crew = Crew(cast("MeshClient", client), GatewayUrls("http://mesh", []), cast("Onward", None))
    assert await crew.failed(envelope, failure_of(envelope), actor="worker") == "failed"
    assert client.reported["error_details"] == {key: value for key, value in error.items() if value is not None}
    assert client.reported["class"] == "business"
    assert decode_final("t1", client.reported).error == TaskError(
        code or "actor_error", "out of stock", ErrorClass.BUSINESS, "worker", details=client.reported["error_details"]
    )


@pytest.mark.parametrize("origin", ["", "\x00", "\u202e", "a" * 300, "..", 5, [], None])
@pytest.mark.parametrize("attempt", [3, 2**31, 10**40, 0, -1, 1.5, "3", True])
async def test_the_end_of_a_message_is_reported_whatever_its_headers_and_attempt(
    origin: object, attempt: object
) -> None:
    envelope, client = failed({"error": {"message": "no"}, "attempt": attempt}), Client()
    envelope = envelope.with_(headers={"x-asya-origin-id": origin})
    crew = Crew(cast("MeshClient", client), GatewayUrls("http://mesh", []), cast("Onward", None))
    assert await sump(crew, envelope) == "failed"
    assert client.task_id == "t1"
    error = decode_final(client.task_id, client.reported).error
    assert error is not None
    assert error.message == "no"
