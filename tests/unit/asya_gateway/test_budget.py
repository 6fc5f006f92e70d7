"""The budget of bytes: shares, waiting, and what is given back."""

import asyncio
from pathlib import Path

import pytest

from asya_gateway.composition.container import container_limit, memory_budget
from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Budget, NoRoom, Share
from tests.support.waiting import rounds

MIB = 1024 * 1024


async def hold(budget: Budget, share: Share, size: int, let_go: asyncio.Event) -> None:
    with budget.scope():
        await budget.reserve(share, size)
        await let_go.wait()


async def settled() -> None:
    """Let tasks run as far as they get."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_report_waits_for_room_where_a_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "PATIENCE", 0.01)
    budget, let_go = Budget(100), asyncio.Event()
    holding = asyncio.create_task(hold(budget, Share.REPORTS, 95, let_go))
    await settled()
    with budget.scope():
        await budget.reserve(Share.CALLS, 10)
        with pytest.raises(NoRoom):
            await budget.reserve(Share.CALLS, 10)
    waiting = asyncio.create_task(hold(budget, Share.REPORTS, 50, let_go))
    await settled()
    assert budget.waiting()["reports"] == 1
    let_go.set()
    await asyncio.gather(holding, waiting)
    assert set(budget.held().values()) == {0.0}


async def test_calls_and_readers_leave_a_share_to_reports() -> None:
    budget = Budget(1000)
    for share in (Share.CALLS, Share.READERS, Share.HELD, Share.DELIVERIES):
        while budget.try_take(share, 10):
            pass
    # Each share takes at least one body, however little is left.
    assert budget.room(Share.REPORTS) >= budget.kept - 2 * 10
    assert budget.held()["calls"] <= 500


async def test_one_body_of_any_size_fits_into_an_empty_share() -> None:
    budget = Budget(100)
    assert budget.try_take(Share.HELD, 20)
    assert budget.try_take(Share.CALLS, 5000)
    assert not budget.try_take(Share.CALLS, 1)
    budget.give_back(Share.CALLS, 5000)
    assert budget.try_take(Share.CALLS, 1)


async def test_what_waits_is_served_in_its_order_and_reports_first() -> None:
    budget, full, let_go = Budget(134), asyncio.Event(), asyncio.Event()
    order: list[str] = []

    async def serve(name: str, share: Share, size: int) -> None:
        with budget.scope():
            await budget.reserve(share, size)
            order.append(name)
            await let_go.wait()

    first = [asyncio.create_task(hold(budget, share, 50, full)) for share in (Share.REPORTS, Share.CALLS)]
    await settled()
    others = [
        asyncio.create_task(serve(name, share, 40))
        for name, share in (("call", Share.CALLS), ("report", Share.REPORTS), ("late report", Share.REPORTS))
    ]
    await settled()
    full.set()
    await settled()
    let_go.set()
    await asyncio.gather(*first, *others)
    assert order == ["report", "late report", "call"]


async def test_small_ones_pass_a_large_one_for_a_while_and_then_give_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget, first, let_go = Budget(134), asyncio.Event(), asyncio.Event()
    holding = asyncio.create_task(hold(budget, Share.REPORTS, 5, first))
    await settled()
    large = asyncio.create_task(hold(budget, Share.REPORTS, MIB, let_go))
    await settled()
    passing = asyncio.create_task(hold(budget, Share.REPORTS, 5, first))
    await settled()
    assert (budget.holds(Share.REPORTS), budget.waiting()["reports"]) == (10, 1)
    monkeypatch.setattr(budgets, "GIVE_WAY", 0.0)
    behind = asyncio.create_task(hold(budget, Share.REPORTS, 5, let_go))
    await settled()
    assert budget.waiting()["reports"] == 2
    first.set()
    await settled()
    assert budget.holds(Share.REPORTS) == MIB
    let_go.set()
    await asyncio.gather(holding, large, passing, behind)
    assert budget.holds(Share.REPORTS) == 0


async def test_a_waiter_that_leaves_holds_nothing_and_lets_the_next_one_pass() -> None:
    budget, full, let_go = Budget(134), asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(budget, Share.REPORTS, 90, full))
    await settled()
    leaving = asyncio.create_task(hold(budget, Share.REPORTS, 100 * MIB, let_go))
    await settled()
    small = asyncio.create_task(hold(budget, Share.REPORTS, 5, let_go))
    await settled()
    assert budget.held()["reports"] == 95
    leaving.cancel()
    await asyncio.wait([leaving])
    assert budget.waiting()["reports"] == 0
    full.set()
    let_go.set()
    await asyncio.gather(first, small)
    assert budget.held()["reports"] == 0


async def test_what_was_reserved_in_excess_is_given_back_when_the_size_is_known() -> None:
    budget = Budget(100)
    with budget.scope() as lease:
        await budget.reserve(Share.CALLS, 40)
        budget.shrink(3)
        assert (lease.bytes, budget.held()["calls"]) == (3, 3)
        budget.release()
        assert budget.held()["calls"] == 0


def _group(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"sys/fs/cgroup/memory.max": "536870912\n"}, 512 * MIB),
        ({"sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 * MIB),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        (
            {
                "proc/self/cgroup": "4:memory:/pods/one\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/pods/memory.limit_in_bytes": "800000000\n",
                "sys/fs/cgroup/memory/pods/one/memory.limit_in_bytes": "900000000\n",
            },
            800_000_000,
        ),
        (
            {
                "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
                "sys/fs/cgroup/kubepods/memory.max": "max\n",
                "sys/fs/cgroup/kubepods/pod1/c1/memory.max": "402653184\n",
            },
            384 * MIB,
        ),
        ({}, None),
    ],
    ids=["v2", "v2 unlimited", "v1", "v1 unlimited", "v1 nested", "v2 nested", "no cgroups"],
)
def test_the_containers_limit_is_read_from_either_version_of_cgroups(
    tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    assert container_limit(_group(tmp_path, files)) == limit


def test_the_budget_is_a_part_of_the_container_and_a_setting_overrides(tmp_path: Path) -> None:
    root = _group(tmp_path, {"sys/fs/cgroup/memory.max": "536870912"})
    assert 128 * MIB < memory_budget(0, root) < 320 * MIB
    assert memory_budget(7, root) == 7
    assert memory_budget(0, tmp_path / "elsewhere") > 64 * MIB


async def test_what_a_request_holds_can_outlive_it() -> None:
    budget = Budget(100)
    with budget.scope():
        await budget.reserve(Share.CALLS, 30)
        room = budget.handed_over()
    assert budget.holds(Share.CALLS) == 30
    with room:
        await budget.reserve(Share.HELD, 5)
        budget.release()
        assert not any(budget.held().values())
        await budget.reserve(Share.CALLS, 20)
    assert not any(budget.held().values())
    room.release()
    assert not any(budget.held().values())
    assert budget.handed_over().bytes == 0, "there is no scope"


async def test_what_is_held_for_a_batch_is_returned_message_by_message() -> None:
    budget = Budget(100)
    with budget.scope():
        await budget.reserve(Share.CALLS, 20)
        budget.add(Share.READERS, 7)
        rooms = budget.handed_over().split(3)
    assert [room.bytes for room in rooms] == [8 + 3, 6 + 2, 6 + 2]
    rooms[0].release()
    assert (budget.holds(Share.CALLS), budget.holds(Share.READERS)) == (12, 4)
    for room in rooms:
        room.release()
    assert not any(budget.held().values())


async def test_a_lease_waits_for_its_turn_however_long_and_gives_it_back_if_its_owner_leaves() -> None:
    budget = Budget(100)
    first = await budget.lease(Share.CALLS, 40)
    assert budget.try_lease(Share.CALLS, 20) is None
    waiting, leaving = (asyncio.ensure_future(budget.lease(Share.CALLS, 20)) for _ in range(2))
    await rounds(1)
    assert budget.waiting()["calls"] == 2
    first.release()
    # It has its room already, and does not know it yet.
    leaving.cancel()
    room = await waiting
    await asyncio.gather(leaving, return_exceptions=True)
    assert budget.holds(Share.CALLS) == 20
    room.release()
    assert budget.holds(Share.CALLS) == 0


async def test_who_reads_two_bodies_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "PATIENCE", 0.01)
    budget = Budget(100)
    with budget.scope():
        await budget.reserve(Share.READERS, 60)
        with pytest.raises(NoRoom):
            await budget.reserve(Share.READERS, 60)
        await budget.extend(Share.READERS, 60)
        assert budget.holds(Share.READERS) == 120
        with budget.scope(), pytest.raises(NoRoom):
            await budget.extend(Share.READERS, 1)
    assert budget.holds(Share.READERS) == 0
