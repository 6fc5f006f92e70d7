"""The pure function from the three sources to the document and the verdicts."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import registry_document
from asya_crds.flows_file import read_texts
from asya_crds.registry_document import ConfigMapPart
from asya_operator.domain.conditions import Condition, ConditionStatus
from asya_operator.domain.memo import Memo
from asya_operator.domain.programming import Ledger
from asya_operator.domain.registry import YAML, ActorReadiness, ComputedRegistry, Inputs, compute
from asya_operator.domain.report import MAX_REPORT_BYTES, report
from asya_operator.reconcilers.statuses import StatusInputs


def flow(own: str, created: str = "2026-01-01T00:00:00Z", /, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {
            "name": own, "namespace": "n", "uid": f"uid-{own}", "generation": 1, "creationTimestamp": created,
        },
        "spec": {"entrypoint": "a", "mcp": {}, **spec},
    }  # fmt: skip


def configmap(*entries: dict[str, Any]) -> dict[str, str]:
    return {"flows.yaml": yaml.safe_dump({"flows": list(entries)})}


def outcome(data: dict[str, str] | None = None, *flows: dict[str, Any], actors: Any = None) -> ComputedRegistry:
    return compute(Inputs(data, list(flows), actors))


def test_the_configmap_beats_a_flow_and_the_older_flow_beats_the_younger() -> None:
    entry = {"name": "one", "entrypoint": "a", "mcp": {}}
    found = outcome(
        configmap(entry),
        flow("one"),
        flow("young", "2026-02-02T00:00:00Z", name="two"),
        flow("old", "2026-01-01T00:00:00Z", name="two"),
    )
    assert found.resources["one"].accepted.reason == "NameConflict"
    assert "ConfigMap gateway-flows, flows.yaml line" in found.resources["one"].accepted.message
    assert found.resources["young"].accepted.reason == "NameConflict"
    assert "Flow old" in found.resources["young"].accepted.message
    assert found.resources["old"].served
    assert set(found.served) == {"one", "two"}


def test_a_flow_that_only_the_configmap_outranks_is_pushed_all_the_same() -> None:
    found = outcome(configmap({"name": "one", "entrypoint": "a"}), flow("one"), flow("young", name="two"))
    assert [entry.flow["name"] for entry in found.document.resources.flows] == ["one", "two"]
    assert [problem.source for problem in found.document.resources.problems] == ["Flow/n/one"]


def test_an_invalid_entry_takes_no_name_from_a_valid_flow() -> None:
    found = outcome(configmap({"name": "one", "entrypoint": "BAD"}), flow("one"))
    assert found.resources["one"].served
    assert [item.verdict.accepted.reason for item in found.entries] == ["Invalid"]


def test_a_key_that_is_no_yaml_says_that_its_former_flows_stay() -> None:
    found = outcome({"flows.yaml": "flows: [\n", "more.yaml": "name: fine\nentrypoint: a\nmcp: {}\n"})
    assert set(found.served) == {"fine"}
    assert found.document.configmap.unreadable == ["flows.yaml"]
    accepted = next(item.verdict.accepted for item in found.entries if item.source == "flows.yaml")
    assert accepted.reason == "Unreadable"
    assert "stay in force" in accepted.message


def test_the_names_that_an_unreadable_key_keeps_are_taken() -> None:
    broken, kept = {"flows.yaml": "flows: [\n"}, {"flows.yaml": ["one"], "gone.yaml": ["two"]}
    found = compute(Inputs(broken, [flow("one"), flow("two")], None, kept))
    assert found.resources["one"].accepted.reason == "NameConflict"
    assert "flows.yaml (previous version)" in found.resources["one"].accepted.message
    assert found.resources["two"].served, "a key that is not there keeps nothing"
    assert [entry.flow["name"] for entry in found.document.resources.flows] == ["one", "two"]
    assert "stay in force (one)" in found.entries[0].verdict.accepted.message
    mended = compute(Inputs({"flows.yaml": "flows: []"}, [flow("one")], None, kept))
    assert mended.resources["one"].served, "once the key can be read it says what is taken"


def test_a_schema_that_does_not_compile_is_named_by_its_field() -> None:
    found = outcome(None, flow("one", mcp={"inputSchema": {"type": "object", "properties": {"x": {"type": 7}}}}))
    verdict = found.resources["one"]
    assert not verdict.served
    assert verdict.accepted.message.startswith("mcp.inputSchema")


def test_inputs_that_cannot_be_asked_are_told_in_the_condition() -> None:
    nested = {"type": "object", "properties": {"x": {"type": "object"}}}
    form = {"elicitation": {"message": "Who?", "requestedSchema": nested}}
    closed = {"type": "object", "propertyNames": {"maxLength": 2}}
    found = outcome(
        None,
        flow("form", mcp={"input": [{"x": form}]}),
        flow("closed", mcp={"inputSchema": closed, "input": [{"x": {"roots": {}}}]}),
    )
    assert not any(each.served for each in found.resources.values())
    assert "mcp.input.0.x.elicitation.requestedSchema: /properties/x/type" in found.resources["form"].accepted.message
    assert "mcp.input: /propertyNames" in found.resources["closed"].accepted.message


def test_unknown_and_unready_actors_leave_the_flow_served() -> None:
    actors = {"a": ActorReadiness(True), "b": ActorReadiness(False, "1 of 2 replicas")}
    found = outcome(
        None,
        flow("ready"),
        flow("waiting", routeNext=["b"]),
        flow("missing", routeNext=["c", "x-pause"]),
        actors=actors,
    )
    assert set(found.served) == {"ready", "waiting", "missing"}
    reasons = {name: verdict.resolved.reason for name, verdict in found.resources.items()}
    assert reasons == {"ready": "ResolvedRefs", "waiting": "ActorNotReady", "missing": "ActorNotFound"}
    assert "1 of 2 replicas" in found.resources["waiting"].resolved.message
    assert "x-pause" not in found.resources["missing"].resolved.message


def test_without_the_actors_crd_references_are_unknown_not_missing() -> None:
    assert outcome(None, flow("one")).resources["one"].resolved.state is ConditionStatus.UNKNOWN


def test_no_configmap_and_an_empty_one_are_told_apart() -> None:
    assert outcome(None).document.configmap.hash is None
    assert outcome({}).document.configmap.hash is not None


def test_a_flow_that_is_exposed_nowhere_says_how_to_expose_it() -> None:
    body = flow("one")
    del body["spec"]["mcp"]
    assert "write `mcp: {}`" in outcome(None, body).resources["one"].accepted.message


NAMES = st.sampled_from(["one", "two", "three"])
ENTRIES = st.builds(
    lambda name, entrypoint: {"name": name, "entrypoint": entrypoint, "mcp": {}}, NAMES, st.sampled_from(["a", "NO"])
)
FLOWS = st.lists(
    st.builds(
        lambda own, name, created, entrypoint: flow(own, created, name=name, entrypoint=entrypoint),
        st.sampled_from("abcdef"),
        NAMES,
        st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
        st.sampled_from(["a", "NO"]),
    ),
    max_size=6,
    unique_by=lambda body: body["metadata"]["name"],
)


@given(st.none() | st.lists(ENTRIES, max_size=4).map(lambda entries: configmap(*entries)), FLOWS, st.randoms())
def test_order_means_nothing_names_are_unique_and_every_source_gets_its_verdict(
    data: dict[str, str] | None, flows: list[dict[str, Any]], random: Any
) -> None:
    found = outcome(data, *flows)
    shuffled = list(flows)
    random.shuffle(shuffled)
    again = outcome(data, *shuffled)
    assert (again.document, again.resources, again.served) == (found.document, found.resources, found.served)
    assert set(found.resources) == {body["metadata"]["name"] for body in flows}
    winners = [verdict for verdict in found.resources.values() if verdict.served]
    winners += [item.verdict for item in found.entries if item.verdict.served]
    assert sorted(verdict.name for verdict in winners) == sorted(found.served)
    memo = Memo()
    for _ in range(2):
        remembered = compute(Inputs(data, flows, None), memo.readers)
        memo.forget_all_but(flows)
        assert (remembered.document, remembered.resources) == (found.document, found.resources)


def test_the_report_is_cut_at_32_kib_and_problems_go_last() -> None:
    entries = [{"name": f"flow-{number}", "entrypoint": "a", "mcp": {}} for number in range(2000)]
    bad = [{"name": f"bad-{number}", "entrypoint": "NO"} for number in range(20)]
    found = outcome(configmap(*entries, *bad))
    text = report(found, lambda _: Condition("Programmed", ConditionStatus.TRUE, "Programmed", ""))
    assert len(text.encode()) <= MAX_REPORT_BYTES
    read = json.loads(text)
    assert len(read["problems"]) == 20
    assert read["served"] == 2000
    assert len(read["flows"]) + read["omitted"] == 2000


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize("hint", [nested(30), nested(300), 10**5000, "x" * 20_000], ids=["30", "300", "huge", "long"])
def test_annotations_that_no_push_could_carry_are_the_flows_own_mistake(hint: Any) -> None:
    found = outcome(None, flow("bad", mcp={"annotations": {"hint": hint}}), flow("good"))
    assert found.resources["bad"].accepted.reason == "Invalid"
    assert set(found.served) == {"good"}


def test_more_problems_than_a_document_holds_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_document, "MAX_ENTRIES", 3)
    found = outcome({"flows.yaml": "flows:\n" + "- {a: 1}\n" * 9})
    problems = found.document.configmap.problems
    assert len(problems) == 3
    assert problems[-1].reason.startswith("and ")
    mounted = ConfigMapPart.of(read_texts({"flows.yaml": b"flows:\n" + b"- {a: 1}\n" * 9}, YAML))
    assert [problem.reason for problem in mounted.problems] == [problem.reason for problem in problems]


def test_conditions_are_said_only_of_the_text_that_was_judged() -> None:
    judged = flow("one")
    standing = StatusInputs(outcome(None, judged), Ledger(), None, None)
    assert standing.verdict(judged) is not None
    newer = {**judged, "metadata": {**judged["metadata"], "generation": 2}}
    assert standing.verdict(newer) is None, "what is served is the older text"
    another = {**judged, "metadata": {**judged["metadata"], "uid": "another"}}
    assert standing.verdict(another) is None, "deleted, and made again under the same name"
