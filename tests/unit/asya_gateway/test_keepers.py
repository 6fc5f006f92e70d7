"""When the work of a storage that repeats begins."""

from itertools import pairwise

from asya_gateway.storage.store import APART, Keeper
from tests.support.storage import make_storage


def keepers() -> dict[str, Keeper]:
    return make_storage("postgresql://localhost/nowhere").storage.keepers()


def test_no_two_keepers_begin_together_so_that_one_connection_is_enough_for_all_of_them() -> None:
    begins = sorted(keeper.first for keeper in keepers().values())
    assert all(later - earlier > 0.9 * APART for earlier, later in pairwise(begins))


def test_what_ends_tasks_begins_within_a_second_and_the_clock_is_not_measured_twice_at_the_start() -> None:
    first = {name: keeper.first for name, keeper in keepers().items()}
    assert max(first[name] for name in ("sweeper", "orphans", "pauses", "incomplete finals")) < 1.0
    assert first["clock"] == keepers()["clock"].every
