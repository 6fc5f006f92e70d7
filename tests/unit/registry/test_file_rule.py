"""When a mounted file counts (docs/protocols/registry.md, "File and push")."""

from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.registry import FileVerdict, judge_file, supersede


def test_a_text_that_the_row_never_held_counts() -> None:
    verdict = judge_file("new", former=None, current="old", superseded=["older"], operator_age=None)
    assert verdict is FileVerdict.TAKEN


def test_an_older_text_does_not_count_for_a_pod_that_just_started() -> None:
    verdict = judge_file("older", former=None, current="old", superseded=["older"], operator_age=None)
    assert verdict is FileVerdict.SUPERSEDED


def test_a_step_back_counts_for_a_pod_that_watched_it() -> None:
    verdict = judge_file("older", former="old", current="old", superseded=["older"], operator_age=60.0)
    assert verdict is FileVerdict.TAKEN


def test_a_step_back_from_another_text_does_not_count() -> None:
    verdict = judge_file("older", former="odd", current="old", superseded=["older", "odd"], operator_age=60.0)
    assert verdict is FileVerdict.SUPERSEDED


def test_files_are_ignored_while_the_operator_lives() -> None:
    verdict = judge_file("new", former="old", current="old", superseded=[], operator_age=29.9)
    assert verdict is FileVerdict.OPERATOR


hashes = st.sampled_from("abcdef")


@given(hashes, st.none() | hashes, st.none() | hashes, st.lists(hashes), st.none() | st.floats(0, 100))
def test_whatever_counts_is_new_or_was_watched(
    file_hash: str, former: str | None, current: str | None, superseded: list[str], age: float | None
) -> None:
    verdict = judge_file(file_hash, former=former, current=current, superseded=superseded, operator_age=age)
    if verdict is FileVerdict.TAKEN:
        assert age is None or age >= 30
        assert file_hash != current
        assert file_hash not in superseded or former == current


def test_the_last_fifty_superseded_hashes_are_remembered() -> None:
    remembered: list[str] = []
    for number in range(60):
        remembered = supersede(remembered, str(number))
    assert remembered == [str(number) for number in range(10, 60)]
    assert supersede(["a", "b"], "a") == ["b", "a"]
    assert supersede(["a"], None) == ["a"]
