"""What the database knows of a hop when its message is a dead letter."""

import pytest

from asya_crds.envelope import Route
from asya_crds.status import HopState, Standing
from asya_gateway.domain.hop_reports import HopAsked, HopStanding
from asya_gateway.domain.reports import Claim
from tests.support.hops import ME, begin
from tests.support.storage import Running, progress, succeeded

CLAIM = Claim("0", 1, ME)


async def standing(running: Running, task_id: str, actor: str = "first", place: int = 0) -> HopStanding | None:
    found: HopStanding | None = await running.tasks.standing(HopAsked(task_id, str(place), place, actor))
    return found


async def test_of_an_unknown_task_nothing_is_known(running: Running) -> None:
    assert await standing(running, "nobody") is None


async def test_a_hop_that_nobody_began_has_no_standing_also_after_the_hop_before_it(running: Running) -> None:
    task_id = await running.create()
    assert await standing(running, task_id) == HopStanding(open=True)
    for state, route in (
        (HopState.RECEIVED, Route((), "first", ("second",))),
        (HopState.COMPLETED, Route(("first",), "second", ())),
    ):
        await running.tasks.report(progress(task_id, state, route=route))
    assert await standing(running, task_id, "second", 1) == HopStanding(open=True)


async def test_a_claim_stands_with_its_attempt_and_its_lease(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id, attempt=2))
    assert await standing(running, task_id) == HopStanding(True, Standing.CLAIMED, 2, held=True)
    await running.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 s'")
    assert await standing(running, task_id) == HopStanding(True, Standing.CLAIMED, 2, held=False)


@pytest.mark.parametrize("state", [HopState.PROCESSED, HopState.COMPLETED])
async def test_a_claim_stands_as_its_worker_left_it(running: Running, state: HopState) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, claim=CLAIM))
    frames = "[]" if state is HopState.PROCESSED else None
    await running.tasks.report(progress(task_id, state, claim=CLAIM, frames=frames))
    found = await standing(running, task_id)
    assert found is not None
    assert (found.standing, found.attempt) == (Standing(state.value), 1)


@pytest.mark.parametrize(
    ("state", "route"),
    [
        (HopState.RECEIVED, Route((), "first", ("second",))),
        (HopState.PROCESSING, Route((), "first", ("second",))),
        (HopState.COMPLETED, Route(("first",), "second", ())),
        (HopState.RECEIVED, Route(("first",), "second", ())),
        (HopState.PROCESSING, Route((), "", ())),
    ],
    ids=["received", "processing", "completed", "the next one received", "without a route"],
)
async def test_what_a_sidecar_without_claims_reported_was_begun(
    running: Running, state: HopState, route: Route
) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, state, route=route))
    assert await standing(running, task_id) == HopStanding(True, Standing.REPORTED)


async def test_a_task_that_has_ended_is_not_open(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id))
    assert await standing(running, task_id) == HopStanding(open=False)
