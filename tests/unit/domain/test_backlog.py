"""What measurements of waiting messages mean for calls."""

import pytest

from asya_crds import jsontext
from asya_gateway.domain.backlog import MOST_NAMED, Backlog, Bounds, Counted, Figures, MissingQueue
from asya_gateway.domain.errors import QueueFull

BOUNDS = Bounds(total=10, per_actor=4)


def backlog_of(*counted: Counted, valid_for: float = 60.0, now: list[float] | None = None) -> Backlog:
    """A process that knows this measurement; `now` is its clock."""
    clock = now or [0.0]
    made = Backlog(lambda: clock[0])
    made.learn(Figures.of(counted, BOUNDS), valid_for)
    return made


def test_calls_are_refused_for_an_actor_at_its_bound_and_accepted_for_the_others() -> None:
    backlog = backlog_of(Counted("full", 4), Counted("busy", 3))
    backlog.check("busy")
    backlog.check("quiet")
    with pytest.raises(QueueFull) as refused:
        backlog.check("full")
    assert (refused.value.code, refused.value.field, refused.value.retry_after) == ("overloaded", "flow", 5)
    assert (refused.value.outcome, backlog.refused) == ("not_done", 1)


def test_every_call_is_refused_at_the_bound_of_all() -> None:
    backlog = backlog_of(Counted("a", 3), Counted("b", 3), Counted("c", 3), Counted("d", 1))
    for actor in ("a", "never-called"):
        with pytest.raises(QueueFull):
            backlog.check(actor)


def test_figures_that_nobody_renews_refuse_nobody() -> None:
    now = [0.0]
    backlog = backlog_of(Counted("full", 4, unroutable=4, reason="gone"), valid_for=5.0, now=now)
    now[0] = 4.9
    with pytest.raises(QueueFull):
        backlog.check("full")
    now[0] = 5.0
    backlog.check("full")
    assert backlog.figures == Figures()


def test_a_process_is_told_whether_other_actors_are_full() -> None:
    backlog = backlog_of()
    full = Figures.of([Counted("a", 4)], BOUNDS)
    assert [backlog.learn(full, 5.0), backlog.learn(full, 5.0), backlog.learn(Figures(), 5.0)] == [True, False, True]


def test_missing_queues_are_named_with_their_messages_and_the_largest_first_if_there_are_many() -> None:
    counted = [Counted(f"a{n}", n, unroutable=n, reason="gone") for n in range(1, MOST_NAMED + 3)]
    unroutable = Figures.of(counted, BOUNDS).unroutable
    assert len(unroutable) == MOST_NAMED
    assert unroutable[f"a{MOST_NAMED + 2}"] == MissingQueue(MOST_NAMED + 2, "gone")
    assert "a2" not in unroutable
    assert Figures.of([Counted("fine", 3)], BOUNDS).unroutable == {}


def test_figures_are_stored_and_read_as_they_are() -> None:
    figures = Figures.of([Counted("a", 4, 2, "queue a is not declared"), Counted("b", 6)], BOUNDS)
    assert Figures.from_dict(jsontext.loads(jsontext.dumps(figures.as_dict()))) == figures
    assert figures.everything
    assert Figures.from_dict({}) == Figures()
