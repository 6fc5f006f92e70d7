"""What the crew reports of the error that a failed envelope carries."""

from datetime import UTC, datetime

from asya_actor.crew.errors import failure_of
from asya_crds.envelope import Envelope, Route, format_time


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
