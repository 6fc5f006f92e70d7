"""What becomes of a dead letter, by what mesh knows of its hop."""

from datetime import UTC, datetime

import pytest

from asya_actor.crew.dead_letters import Fate, fate_of
from asya_actor.failures import broken
from asya_actor.forwarding import failed, retried, sent_again, sent_again_before
from asya_crds.mesh_messages import StandingAnswer
from tests.support.actors import envelope_of

SINCE = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "fate"),
    [
        ({"known": False}, Fate.FAIL),
        ({}, Fate.FAIL),
        ({"open": False}, Fate.FAIL),
        ({"open": True}, Fate.SEND_AGAIN),
        ({"open": True, "standing": "reported"}, Fate.FAIL),
        ({"open": True, "standing": "of a newer version"}, Fate.FAIL),
        ({"open": True, "standing": "processed", "attempt": 2}, Fate.SEND_AGAIN),
        ({"open": True, "standing": "completed", "attempt": 2}, Fate.DROP),
        ({"open": True, "standing": "claimed", "attempt": 2, "held": True}, Fate.WAIT),
        ({"open": True, "standing": "claimed", "attempt": 2, "held": False}, Fate.FAIL),
        ({"open": True, "standing": "claimed", "attempt": 1, "held": False}, Fate.SEND_AGAIN),
        ({"open": True, "standing": "claimed", "attempt": 1, "held": True}, Fate.SEND_AGAIN),
        ({"open": True, "standing": "claimed", "attempt": 3, "held": False}, Fate.DROP),
        ({"open": True, "standing": "claimed"}, Fate.FAIL),
    ],
)
def test_only_what_nobody_began_is_sent_again(known: dict[str, object], fate: Fate) -> None:
    """The dead letter is of the second attempt."""
    assert fate_of(StandingAnswer.model_validate({"known": True} | known), 2) is fate


def test_the_count_is_of_one_attempt_at_one_hop() -> None:
    once = sent_again(envelope_of("t", ["a", "b"], {}))
    assert [sent_again_before(each) for each in (once, sent_again(once))] == [1, 2]
    assert sent_again_before(retried(once, SINCE, 3)) == 0
    assert sent_again_before(failed(once, broken("DeadLetter", "x"), "a", reason="RuntimeError")) == 0
