"""What a write weighs in its batch is what it is made of: a part that is not counted has no bound."""

import pytest

from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, HopState, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import FinalReport, ProgressReport
from asya_gateway.storage.tasks.finishing import final_size
from asya_gateway.storage.tasks.reporting import report_size
from tests.support.storage import failed, progress, succeeded

LARGE = "x" * 1_000_000
LONG = tuple("a" * 250 for _ in range(1_000))


@pytest.mark.parametrize(
    "report",
    [
        progress("t", message=LARGE),
        progress("t", HopState.PROCESSED, frames=LARGE),
        progress("t", route=Route(LONG, "b", ())),
        progress("t", route=Route((), "b", LONG)),
    ],
    ids=["message", "frames", "prev", "next"],
)
def test_a_report_weighs_at_least_its_largest_part(report: ProgressReport) -> None:
    assert report_size(report) >= 250_000


@pytest.mark.parametrize(
    "report",
    [
        succeeded("t", LARGE),
        succeeded("t", metadata={"s3_uri": LARGE}),
        FinalReport("t", TaskStatus.FAILED, LARGE, owner=EVERY_OWNER),
        failed("t", error=TaskError("c", "no", ErrorClass.BUSINESS, details=LARGE)),
    ],
    ids=["result", "metadata", "message", "details"],
)
def test_a_final_report_weighs_at_least_its_largest_part(report: FinalReport) -> None:
    assert final_size(report) >= 1_000_000
