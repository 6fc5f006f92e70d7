"""How worker and crew run."""

import gc
from collections.abc import Iterator

import pytest

from asya_actor import loops


@pytest.fixture
def _thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("_thresholds")
def test_the_garbage_collector_runs_less_often_unless_the_handlers_module_says_otherwise() -> None:
    async def main() -> tuple[int, int]:
        ours = gc.get_threshold()[0]
        gc.set_threshold(123)  # as a handler's module may do when it is imported
        return ours, gc.get_threshold()[0]

    assert loops.run(main()) == (loops.NEW_OBJECTS, 123)
