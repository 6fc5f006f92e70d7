"""The thread that renews claims while the event loop is busy."""

from collections.abc import Mapping
from typing import Any

from asya_actor.mesh.pulse import Pulse
from asya_actor.mesh.signs import Sign
from tests.support.waiting import until


class Failing:
    """A hop whose report cannot be made. `asked`: how often that was tried."""

    asked = 0

    def processing(self, actor: str) -> Mapping[str, Any]:
        self.asked += 1
        raise RuntimeError("nobody expected this")

    def alive(self) -> str:
        raise NotImplementedError

    def lose(self) -> None:
        raise NotImplementedError


async def test_an_error_that_nobody_expected_does_not_end_the_thread() -> None:
    pulse, failing = Pulse(), Failing()
    sign = Sign("http://127.0.0.1:1", "a-task", failing, "an-actor", lease=0.1)
    pulse.add(sign)
    try:
        await until(lambda: failing.asked >= 2, what="a second attempt")
    finally:
        pulse.remove(sign)
