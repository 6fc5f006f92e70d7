"""AsyncActor manifests of every public generation mean an actor of the newest shape."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from asya_crds.async_actor import AsyncActorSpec
from asya_crds.flow import McpExposure
from asya_crds.flow_resource import flow_from_resource
from asya_crds.flows_file import InvalidFlow
from asya_crds.older_shapes import InvalidActor, actor_from_resource

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "async-actors"


def read(name: str) -> tuple[AsyncActorSpec, list[str]]:
    return actor_from_resource(next(iter(yaml.safe_load_all((EXAMPLES / name).read_text()))))


def test_the_newest_shape_is_read_without_a_note() -> None:
    actor, notes = read("newest.yaml")
    assert notes == []
    assert actor.handler == "enhance.pipeline.Enhancer.process"
    assert actor.scaling is not None
    assert actor.scaling.queue_length == 10
    assert actor.resiliency is not None
    assert actor.resiliency.policies["throttled"].on_exhausted == ["park"]


def test_one_retry_policy_becomes_the_default_policy() -> None:
    actor, notes = read("march-2026.yaml")
    assert actor.resiliency is not None
    policy = actor.resiliency.policies["default"]
    assert (policy.max_attempts, policy.backoff, policy.initial_delay) == (5, "exponential", "1s")
    assert [(rule.errors, rule.policy) for rule in actor.resiliency.rules] == [
        (["ValueError", "schema.ValidationError"], "asya-never")
    ]
    assert actor.resiliency.policies["asya-never"].max_attempts == 1
    assert notes == ["spec.transport: the queue system is a setting of the operator"]


def test_a_pod_template_gives_image_handler_and_environment() -> None:
    actor, _ = read("february-2026.yaml")
    assert (actor.image, actor.handler) == ("registry.example/postprocess:3", "postprocess.finish")
    assert [item.name for item in actor.env] == ["LEVEL"]
    assert actor.resources == {"limits": {"memory": "256Mi"}}


def test_the_first_shape_takes_its_name_from_the_metadata_and_seconds_as_numbers() -> None:
    actor, _ = read("november-2025.yaml")
    assert actor.actor == "hello"
    assert actor.resiliency is not None
    assert actor.resiliency.actor_timeout == "300s"
    assert actor.scaling is not None
    assert (actor.scaling.min_replica_count, actor.scaling.max_replica_count) == (0, 50)


def test_a_sidecar_image_is_read_as_parts_and_as_one_string() -> None:
    actor, _ = read("foreign-sidecar.yaml")
    assert actor.foreign_sidecar == "ghcr.io/deliveryhero/asya-sidecar:1.0.9"
    spec = {"actor": "a", "image": "i", "handler": "m.f", "sidecar": {"image": "side:2"}}
    assert AsyncActorSpec.model_validate(spec).foreign_sidecar == "side:2"


def test_a_field_without_effect_is_named() -> None:
    body = {"metadata": {"name": "a"}, "spec": {"image": "i", "handler": "m.f", "gpu": 1}}
    assert actor_from_resource(body)[1] == ["spec.gpu: has no effect here"]


def test_an_actor_without_a_handler_is_refused_by_name() -> None:
    with pytest.raises(InvalidActor, match="handler"):
        actor_from_resource({"metadata": {"name": "a"}, "spec": {"workload": {"template": {}}, "image": "i"}})


def flow(name: str = "shout", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"entrypoint": "shout", **spec}}


def test_a_flow_resource_is_named_by_its_metadata_unless_its_spec_says_otherwise() -> None:
    assert flow_from_resource(flow()).name == "shout"
    assert flow_from_resource(flow(name="x")).name == "x"
    assert flow_from_resource({"metadata": {"name": "x"}, "spec": {"entrypoint": "a", "name": "a_b"}}).name == "a_b"


def _managed(operation: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {"f:entrypoint": {}, "f:mcp": {}}}
    return {"manager": "kubectl", "operation": operation, "fieldsV1": fields}


def test_a_block_that_server_side_apply_has_emptied_to_null_is_an_empty_one() -> None:
    body = flow(mcp=None)
    body["metadata"]["managedFields"] = [_managed("Apply")]
    assert flow_from_resource(body).mcp == McpExposure()
    for managers in ([_managed("Update")], [{"operation": "Apply", "fieldsV1": {"f:status": {}}}], None):
        body["metadata"]["managedFields"] = managers
        with pytest.raises(InvalidFlow, match=r"write `mcp: \{\}`"):
            flow_from_resource(body)


def test_every_mistake_of_a_flow_resource_is_named_by_its_path() -> None:
    with pytest.raises(InvalidFlow) as raised:
        flow_from_resource(flow(entrypoint="Bad", timeout="soon"))
    assert "entrypoint: expected an actor name" in str(raised.value)
    assert "timeout: expected a duration" in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workload": {"template": "foo"}},
        {"workload": {"template": {"spec": {"containers": 3}}}},
        {"workload": {"template": {"spec": {"containers": [{"name": "asya-runtime", "env": 5}]}}}},
        {"resiliency": {"nonRetryableErrors": 5}},
        {"resiliency": {"retry": {}, "policies": 7}},
        {"timeout": "5s", "resiliency": "x"},
    ],
)
def test_values_of_wrong_types_in_older_fields_are_refused_like_any_other(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidActor, match=r"spec|resiliency"):
        actor_from_resource({"metadata": {"name": "a"}, "spec": {"image": "x:1", "handler": "m.f", **wrong}})


def test_no_actor_is_called_like_the_queue_of_dead_letters() -> None:
    with pytest.raises(InvalidActor, match="dead letters"):
        actor_from_resource({"metadata": {"name": "dlq"}, "spec": {"image": "x:1", "handler": "m.f"}})
    with pytest.raises(InvalidFlow, match="dead letters"):
        flow_from_resource({"metadata": {"name": "f"}, "spec": {"entrypoint": "dlq", "mcp": {}}})
