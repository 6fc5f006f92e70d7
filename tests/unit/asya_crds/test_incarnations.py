"""How a task's incarnations are spelt in ids, headers and claims."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_actor.crew.resume import resumed
from asya_actor.forwarding import child_id, hop_of, pause_id
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.reporting import HopReports
from asya_actor.pausing import pause_report
from asya_crds.envelope import Envelope, Route
from asya_crds.incarnations import (
    LARGEST,
    Incarnation,
    hop_name,
    incarnation_header,
    incarnation_of,
    resolve,
    resume_id,
)
from asya_crds.merging import merge
from asya_crds.status import HopState

CHILDREN = uuid.UUID("6f0e4f5c-0d1b-5f0e-9a53-6a6f3d1c7b21")
AT_B = Route(("a", "x-pause"), "b", ())

task_ids = st.text(min_size=1, max_size=40).filter(lambda text: resolve(text).incarnation is None)


@given(task_id=task_ids, incarnation=st.integers(1, LARGEST))
def test_the_id_of_an_answers_envelope_names_task_and_incarnation(task_id: str, incarnation: int) -> None:
    assert resolve(resume_id(task_id, incarnation)) == (task_id, incarnation)


@pytest.mark.parametrize("own", ["t", "resume-", "resume.1-t", "resume.0-t", "resume.x-t", "resume.2-", "resume.02-t"])
def test_other_ids_are_a_tasks_own(own: str) -> None:
    assert resolve(own) == (own, None)


def test_the_first_answer_comes_under_the_id_that_existing_crews_know() -> None:
    assert [resume_id("t", n) for n in (1, 2, 12)] == ["resume-t", "resume.2-t", "resume.12-t"]


@pytest.mark.parametrize(
    ("envelope_id", "header", "incarnation"),
    [
        ("t", None, (0, 0)),
        ("t", "3/t", (3, 0)),
        ("t", "3.1/t", (3, 1)),
        ("a/b", "3/a/b", (3, 0)),
        ("child", "3/t", (0, 0)),
        ("t", "0/t", (0, 0)),
        ("t", "x/t", (0, 0)),
        ("t", 3, (0, 0)),
        ("resume-t", None, (1, 1)),
        ("resume.4-t", "3/t", (4, 4)),
    ],
)
def test_an_envelope_says_its_incarnation_by_its_header_or_its_id(
    envelope_id: str, header: object, incarnation: tuple[int, int]
) -> None:
    headers = {} if header is None else {"x-asya-incarnation": header}
    assert incarnation_of(envelope_id, headers) == incarnation


@pytest.mark.parametrize("number", [0, 1, 12])
def test_a_route_that_began_in_incarnation_0_is_spelt_as_before_in_claims_children_and_pauses(number: int) -> None:
    """Workers of this version and of the one before meet in one claim, and make the same children and pauses."""
    headers = incarnation_header("t", Incarnation(number, 0)) if number else {}
    envelope = Envelope("t", AT_B, {}, headers=headers)
    assert hop_of(envelope) == "2"
    assert child_id("t", hop_of(envelope), 1) == str(uuid.uuid5(CHILDREN, "t\x002\x001"))
    assert pause_id("t", hop_of(envelope)) == str(uuid.uuid5(CHILDREN, "t\x002\x00pause"))
    body = HopReports(MeshClient(), "http://mesh", envelope)._body(HopState.RECEIVED)
    report = pause_report(envelope, AT_B, {})
    assert (body["claim"]["hop"], report["pause_id"]) == ("2", pause_id("t", "2"))
    assert body.get("incarnation", 0) == report.get("incarnation", 0) == number


@pytest.mark.parametrize(("envelope_id", "number", "began"), [("t", 3, 2), ("resume.2-t", 2, 2), ("resume-t", 1, 1)])
def test_a_route_that_began_anew_has_claims_children_and_pauses_of_its_own(
    envelope_id: str, number: int, began: int
) -> None:
    headers = incarnation_header("t", Incarnation(number, began)) if envelope_id == "t" else {}
    envelope = Envelope(envelope_id, AT_B, {}, headers=headers)
    body = HopReports(MeshClient(), "http://mesh", envelope)._body(HopState.RECEIVED)
    assert (body["claim"]["hop"], body["incarnation"]) == (f"{began}.2", number)
    report = pause_report(envelope, AT_B, {})
    assert (report["incarnation"], report["pause_id"]) == (number, pause_id(envelope_id, hop_name(began, 2)))
    assert child_id("t", hop_of(envelope), 1) != child_id("t", 2, 1)


def answer(reported_as: str, incarnation: int, payload: object = None, **headers: object) -> Envelope:
    checkpoint = Envelope(reported_as, AT_B, {"n": 1}, headers={"x-asya-incarnation": "1/t", "kept": 1})
    carried = {"x-asya-resume-task": reported_as, "x-asya-resume-checkpoint": checkpoint.as_dict(), **headers}
    return Envelope(resume_id("t", incarnation), Route((), "x-resume"), payload, headers=carried)


@pytest.mark.parametrize(("reported_as", "header"), [("t", "3/t"), ("resume-t", "3.1/t"), ("resume.2-t", "3.2/t")])
def test_our_x_resume_continues_under_the_tasks_own_id_in_the_incarnation_of_the_answer(
    reported_as: str, header: str
) -> None:
    onward = resumed(answer(reported_as, 3), deep=False)
    assert (onward.id, onward.payload, onward.route) == ("t", {"n": 1}, AT_B)
    assert onward.headers == {"x-asya-incarnation": header, "kept": 1}


def test_our_x_resume_merges_itself_for_a_gateway_of_the_version_before() -> None:
    """That one sends the answer as the payload, and the question along."""
    question = {"prompt": "?", "fields": [{"name": "ok", "payload_key": "/order/ok"}]}
    onward = resumed(answer("t", 1, {"ok": True, "more": 1}, **{"x-asya-pause": question}), deep=False)
    assert onward.payload == {"n": 1, "order": {"ok": True}}


def test_an_x_resume_of_the_version_before_has_nothing_left_to_merge() -> None:
    """It merges payload and checkpoint without fields, since it is sent no question."""
    for payload in ({"n": 1}, [1], "text"):
        assert merge(payload, None, []) == payload


@pytest.mark.parametrize("named", ["", "\x00", "a" * 300, 5, ["t"], None])
def test_an_answer_with_an_invalid_task_header_belongs_to_the_task_of_its_id(named: object) -> None:
    envelope = answer("t", 1)
    onward = resumed(envelope.with_(headers={**envelope.headers, "x-asya-resume-task": named}), deep=False)
    assert onward.id == "t"
