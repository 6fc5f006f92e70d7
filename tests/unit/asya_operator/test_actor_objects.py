"""What is built of an AsyncActor, and what is said about it (pure)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from asya_actor.settings import WorkerSettings
from asya_actor.state.mounts import StateMount, parse_mounts
from asya_crds.older_shapes import actor_from_resource
from asya_operator.domain.actor_status import ObservedState, PartStatus, complaint, conditions_of, scaling, status_of
from asya_operator.domain.drift import contains, owns_replicas
from asya_operator.domain.resources.common import ActorResource, Surroundings
from asya_operator.domain.resources.deployment import deployment
from asya_operator.domain.resources.environments import overruled
from asya_operator.domain.resources.scaled_object import scaled_object
from asya_operator.domain.resources.trigger_authentication import trigger_authentication

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "async-actors"
AROUND = Surroundings("n", "rabbitmq", "http://mesh:8080", "asya-transport", "asya-actors", "asya-runtime", 1000)


def actor(name: str = "newest.yaml", **spec: Any) -> ActorResource:
    body = next(iter(yaml.safe_load_all((EXAMPLES / name).read_text())))
    body["metadata"]["uid"] = "u"
    body["spec"] |= spec
    return ActorResource(actor_from_resource(body)[0], body)


def pod(built: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = built["spec"]["template"]["spec"]
    return found


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_our_worker_runs_in_the_actors_own_image() -> None:
    container = pod(deployment(actor(), AROUND, replicas=None))["containers"][0]
    assert container["name"] == "asya-actor"
    assert container["command"] == ["python3.12", "-m", "asya_cli", "actor"]
    values = env(container)
    assert values["ASYA_HANDLER"] == "enhance.pipeline.Enhancer.process"
    assert values["ASYA_GATEWAY_URL"] == "http://mesh:8080"
    assert values["ENHANCE_API_KEY"] == {"secretKeyRef": {"name": "enhance-keys", "key": "api-key"}}
    assert values["MODEL_PATH"] == "/models/v3"
    policies = yaml.safe_load(values["ASYA_RESILIENCY_POLICIES"])
    assert policies["throttled"]["onExhausted"] == ["park"]


def test_a_foreign_sidecar_gets_the_runtime_contract_of_its_generation() -> None:
    spec = pod(deployment(actor("foreign-sidecar.yaml"), AROUND, replicas=None))
    runtime, sidecar = spec["containers"][:2]
    assert (runtime["name"], sidecar["name"]) == ("asya-runtime", "asya-sidecar")
    assert runtime["command"] == ["python3", "/opt/asya/asya_runtime.py"]
    assert sidecar["image"] == "ghcr.io/deliveryhero/asya-sidecar:1.0.9"
    assert env(sidecar)["ASYA_ACTOR_NAME"] == "text-preprocess"
    assert env(sidecar)["ASYA_LOG_LEVEL"] == "DEBUG"
    mounts = {mount["name"] for mount in runtime["volumeMounts"]}
    assert {"asya-runtime", "asya-socket"} <= mounts
    assert {"asya-runtime", "asya-socket"} <= {volume["name"] for volume in spec["volumes"]}


def test_every_field_of_the_newest_shape_shows_in_what_is_built() -> None:
    spec = pod(deployment(actor(), AROUND, replicas=None))
    worker = spec["containers"][0]
    values = env(worker)
    assert values["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert (values["ASYA_OTEL_ENABLED"], values["OTEL_EXPORTER_OTLP_ENDPOINT"]) == (
        "true", "http://otel-collector.observability:4318",
    )  # fmt: skip
    assert values["ASYA_RESILIENCY_ACTOR_TIMEOUT"] == "2m"
    assert yaml.safe_load(values["ASYA_RESILIENCY_RULES"])[0]["policy"] == "throttled"
    assert (worker["image"], worker["imagePullPolicy"]) == ("registry.example/image-enhance:1.4.0", "IfNotPresent")
    assert worker["resources"]["limits"] == {"memory": "2Gi"}
    assert {"name": "models", "mountPath": "/models"} in worker["volumeMounts"]
    assert {"name": "models", "emptyDir": {}} in spec["volumes"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert spec["initContainers"][0]["command"] == ["fetch", "/models"]
    assert spec["containers"][-1]["image"] == "registry.example/shipper:2"


@pytest.mark.parametrize("name", ["newest.yaml", "foreign-sidecar.yaml"])
def test_a_state_proxy_and_the_handler_meet_in_the_folder_of_its_socket(name: str) -> None:
    proxy = {
        "name": "cache",
        "mount": {"path": "/state/cache"},
        "writeMode": "passthrough",
        "connector": {"image": "s3:1", "env": [{"name": "BUCKET", "value": "b"}]},
    }
    second = {"name": "runs", "mount": {"path": "/state/runs"}, "connector": {"image": "s3:1"}}
    spec = pod(deployment(actor(name, stateProxy=[proxy, second]), AROUND, replicas=None))
    handler, connector = (
        next(each for each in spec["containers"] if each["name"] in names)
        for names in (("asya-actor", "asya-runtime"), ("asya-state-proxy-cache",))
    )
    state = {"name": "asya-state", "mountPath": "/var/run/asya/state"}
    assert state in handler["volumeMounts"]
    assert connector["volumeMounts"] == [state]
    assert {"name": "asya-state", "emptyDir": {}} in spec["volumes"]
    mounts = "cache:/state/cache:write=passthrough;runs:/state/runs:write=buffered"
    assert env(handler)["ASYA_STATE_PROXY_MOUNTS"] == mounts
    assert env(connector)["BUCKET"] == "b"
    assert "asya-state-proxy-runs" in [each["name"] for each in spec["containers"]]


def test_a_foreign_sidecar_and_its_runtime_are_told_where_traces_go() -> None:
    tracing = {"endpoint": "http://otel:4318"}
    spec = pod(deployment(actor("foreign-sidecar.yaml", tracing=tracing), AROUND, replicas=None))
    for container in spec["containers"][:2]:
        assert env(container)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel:4318"


def test_sidecars_of_the_generation_without_policies_read_how_often_to_retry() -> None:
    retry = {"maxAttempts": 5, "initialInterval": "2s", "maxInterval": "60s", "jitter": False}
    spec = pod(deployment(actor("foreign-sidecar.yaml", resiliency={"retry": retry}), AROUND, replicas=None))
    values = env(spec["containers"][1])
    read = {name: value for name, value in values.items() if name.startswith("ASYA_RESILIENCY_RETRY_")}
    assert read == {
        "ASYA_RESILIENCY_RETRY_POLICY": "exponential",
        "ASYA_RESILIENCY_RETRY_MAX_ATTEMPTS": "5",
        "ASYA_RESILIENCY_RETRY_INITIAL_INTERVAL": "2s",
        "ASYA_RESILIENCY_RETRY_MAX_INTERVAL": "60s",
        "ASYA_RESILIENCY_RETRY_JITTER": "false",
    }


@pytest.mark.parametrize("name", ["newest.yaml", "foreign-sidecar.yaml"])
def test_no_variable_occurs_twice_ours_win_and_the_note_names_them(name: str) -> None:
    twice = [{"name": "ASYA_HANDLER", "value": "x.y"}, {"name": "MINE", "value": "1"}, {"name": "MINE", "value": "2"}]
    sidecar = {"image": "sidecar:1", "env": [{"name": "ASYA_NAMESPACE", "value": "elsewhere"}]}
    connector = {"image": "s3:1", "env": [{"name": "ASYA_STATE_PROXY_NAME", "value": "x"}]}
    proxy = {"name": "cache", "mount": {"path": "/state/cache"}, "connector": connector}
    given = actor(name, env=twice, stateProxy=[proxy], **({} if name == "newest.yaml" else {"sidecar": sidecar}))
    spec = pod(deployment(given, AROUND, replicas=None))
    for container in spec["containers"]:
        names = [item["name"] for item in container.get("env", [])]
        assert len(names) == len(set(names)), container["name"]
    values = env(spec["containers"][0])
    assert (values["ASYA_HANDLER"], values["MINE"]) == (given.spec.handler, "2")
    notes = overruled(given, AROUND)
    assert notes[0] == "spec.env and spec.secretRefs: the operator sets ASYA_HANDLER itself"
    assert "spec.stateProxy.cache.connector.env: the operator sets ASYA_STATE_PROXY_NAME itself" in notes
    assert ("spec.sidecar.env: the operator sets ASYA_NAMESPACE itself" in notes) is (name == "foreign-sidecar.yaml")
    assert overruled(actor(), AROUND) == []


@pytest.mark.parametrize(
    ("conditions", "ready", "message"),
    [
        (None, False, "KEDA has not reported"),
        ([{"type": "Ready", "status": "Unknown"}], False, "KEDA has not reported"),
        ([{"type": "Ready", "status": "False", "message": "no such secret"}], False, "KEDA: no such secret"),
        ([{"type": "Ready", "status": "True"}], True, ""),
    ],
)
def test_a_scaled_object_is_ready_once_keda_says_so(conditions: Any, ready: bool, message: str) -> None:
    part = scaling({"status": {"conditions": conditions}} if conditions else {})
    assert part.ready is ready
    assert message in part.message


@pytest.mark.parametrize("name", ["newest.yaml", "foreign-sidecar.yaml"])
def test_a_connector_listens_where_the_handlers_container_looks_for_it(name: str) -> None:
    """The state proxy: sockets /var/run/asya/state/<name>.sock."""
    proxy = {
        "name": "cache",
        "mount": {"path": "/state/cache"},
        "connector": {"image": "i"},
        "writeMode": "passthrough",
    }
    spec = pod(deployment(actor(name, stateProxy=[proxy]), AROUND, replicas=None))
    handler = spec["containers"][0]
    connector = next(one for one in spec["containers"] if one["name"] == "asya-state-proxy-cache")
    folder = WorkerSettings.model_fields["state_proxy_folder"].default
    assert env(handler)["ASYA_STATE_PROXY_MOUNTS"] == "cache:/state/cache:write=passthrough"
    assert parse_mounts(env(handler)["ASYA_STATE_PROXY_MOUNTS"]) == (
        StateMount("cache", "/state/cache", "passthrough"),
    )
    assert env(connector)["CONNECTOR_SOCKET"] == f"{folder}/cache.sock"
    mount = {"name": "asya-state", "mountPath": "/var/run/asya/state"}
    assert mount in handler["volumeMounts"]
    assert mount in connector["volumeMounts"]
    assert {"name": "asya-state", "emptyDir": {}} in spec["volumes"]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_every_container_keeps_the_restricted_standard(name: str) -> None:
    spec = pod(deployment(actor(name), AROUND, replicas=1))
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        held = container["securityContext"]
        assert held["allowPrivilegeEscalation"] is False
        assert held["capabilities"] == {"drop": ["ALL"]}
        assert held["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False


def test_replicas_are_set_only_without_another_scaler() -> None:
    assert "replicas" not in deployment(actor(), AROUND, replicas=None)["spec"]
    assert deployment(actor(), AROUND, replicas=0)["spec"]["replicas"] == 0


def test_the_users_labels_are_kept_but_not_those_of_other_controllers() -> None:
    given = actor()
    given.body["metadata"]["labels"] = {"team": "v", "crossplane.io/claim": "c", "app.kubernetes.io/name": "x"}
    labels = deployment(given, AROUND, replicas=1)["metadata"]["labels"]
    assert labels["team"] == "v"
    assert "crossplane.io/claim" not in labels
    assert labels["app.kubernetes.io/name"] == "image-enhance"


def test_keda_watches_the_queue_by_the_name_that_everyone_uses() -> None:
    given = actor()
    assert given.spec.scaling is not None
    spec = scaled_object(given, AROUND, given.spec.scaling, QUEUE)["spec"]
    assert spec["triggers"][0]["metadata"]["queueName"] == "asya-n-image-enhance"
    assert spec["triggers"][1]["type"] == "cron"
    assert spec["advanced"]["scalingModifiers"]["formula"] == "queue + 0"
    assert spec["advanced"]["restoreToOriginalReplicaCount"] is True


QUEUE = "asya-n-image-enhance"


def trigger_with(
    transport: str = "rabbitmq", queue: str = QUEUE, **variables: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """KEDA's trigger and TriggerAuthentication where the operator sees these variables."""
    given, around = actor(), replace(AROUND, transport=transport, variables=variables)
    assert given.spec.scaling is not None
    trigger = scaled_object(given, around, given.spec.scaling, queue)["spec"]["triggers"][0]
    return trigger, trigger_authentication(given, around, given.spec.scaling, queue)


def test_with_the_management_api_in_the_secret_keda_counts_what_workers_hold() -> None:
    trigger, authentication = trigger_with(ASYA_RABBITMQ_MANAGEMENT_URL="(set)", ASYA_RABBITMQ_URL="(set)")
    assert trigger["metadata"]["protocol"] == "http"
    assert trigger["metadata"]["excludeUnacknowledged"] == "false"
    assert authentication is not None
    expected = {"parameter": "host", "name": "asya-transport", "key": "ASYA_RABBITMQ_MANAGEMENT_URL"}
    assert authentication["spec"]["secretTargetRef"] == [expected]


@pytest.mark.parametrize("management", [{}, {"ASYA_RABBITMQ_MANAGEMENT_URL": "(set)"}])
def test_an_installation_with_a_trigger_authentication_of_its_own_keeps_its_trigger(management: dict[str, str]) -> None:
    trigger, authentication = trigger_with(ASYA_KEDA_RABBITMQ_AUTH="ours", **management)
    assert trigger == {
        "type": "rabbitmq",
        "name": "queue",
        "metadata": {
            "queueName": "asya-n-image-enhance", "mode": "QueueLength", "value": "10", "protocol": "amqp",
        },
        "authenticationRef": {"name": "ours"},
    }  # fmt: skip
    assert authentication is None


SQS_QUEUE = f"https://sqs.eu-central-1.amazonaws.com/123456789012/{QUEUE}"


def test_a_queue_of_sqs_is_counted_by_its_url_with_kedas_own_identity() -> None:
    trigger, authentication = trigger_with("sqs", SQS_QUEUE, ASYA_AWS_REGION="eu-central-1")
    assert trigger == {
        "type": "aws-sqs-queue",
        "name": "queue",
        "metadata": {
            "queueURL": SQS_QUEUE,
            "queueLength": "10",
            "awsRegion": "eu-central-1",
            "scaleOnInFlight": "true",
            "scaleOnDelayed": "false",
        },
        "authenticationRef": {"name": "image-enhance-trigger-auth"},
    }
    assert authentication is not None
    assert authentication["spec"] == {"podIdentity": {"provider": "aws"}}


def test_an_older_provider_reads_with_kedas_own_identity_too() -> None:
    """KEDA, aws-sqs-queue, `identityOwner`: by default `aws-eks` takes the role of the pods that are scaled, and
    `aws` does not read the parameter."""
    trigger, authentication = trigger_with("sqs", SQS_QUEUE, ASYA_KEDA_SQS_POD_IDENTITY="aws-eks")
    assert trigger["metadata"]["identityOwner"] == "operator"
    assert authentication is not None
    assert authentication["spec"] == {"podIdentity": {"provider": "aws-eks"}}


def test_without_an_identity_keda_reads_queues_of_sqs_with_keys_of_the_secret() -> None:
    trigger, authentication = trigger_with(
        "sqs", SQS_QUEUE, ASYA_KEDA_SQS_POD_IDENTITY="none", ASYA_SQS_ENDPOINT="http://elasticmq:9324"
    )
    assert trigger["metadata"]["awsEndpoint"] == "http://elasticmq:9324"
    assert authentication is not None
    assert authentication["spec"] == {
        "secretTargetRef": [
            {"parameter": "awsAccessKeyID", "name": "asya-transport", "key": "AWS_ACCESS_KEY_ID"},
            {"parameter": "awsSecretAccessKey", "name": "asya-transport", "key": "AWS_SECRET_ACCESS_KEY"},
        ]
    }


def test_queues_of_sqs_may_be_counted_with_a_trigger_authentication_of_the_installation() -> None:
    trigger, authentication = trigger_with("sqs", SQS_QUEUE, ASYA_KEDA_SQS_AUTH="ours")
    assert trigger["authenticationRef"] == {"name": "ours"}
    assert authentication is None


def test_an_upgraded_operator_without_the_new_key_leaves_the_trigger_as_it_was() -> None:
    trigger, authentication = trigger_with(ASYA_RABBITMQ_URL="(set)")
    assert trigger["metadata"]["protocol"] == "amqp"
    assert authentication is not None
    expected = {"parameter": "host", "name": "asya-transport", "key": "ASYA_RABBITMQ_URL"}
    assert authentication["spec"]["secretTargetRef"] == [expected]


@pytest.mark.parametrize(
    ("grace", "pods", "handlers"), [(None, 60, None), (600, 600, "585s"), (10, 10, "5s"), (1, 1, "0.5s")]
)
def test_the_grace_period_is_the_actors_and_leaves_time_to_give_back(
    grace: int | None, pods: int, handlers: str | None
) -> None:
    spec = pod(deployment(actor(terminationGracePeriodSeconds=grace), AROUND, replicas=None))
    assert spec["terminationGracePeriodSeconds"] == pods
    assert env(spec["containers"][0]).get("ASYA_ACTOR_SHUTDOWN_TIMEOUT") == handlers


@pytest.mark.parametrize(("timeout", "failures"), [(None, 60), ("5m", 150), ("75s", 38), ("0s", 1)])
def test_loading_has_a_probe_of_its_own_with_the_actors_time(timeout: str | None, failures: int) -> None:
    worker = pod(deployment(actor(startupTimeout=timeout), AROUND, replicas=None))["containers"][0]
    assert worker["startupProbe"]["failureThreshold"] == failures
    # A worker of an older version in the actor's image answers this path as well.
    assert worker["startupProbe"]["httpGet"]["path"] == "/health?probe=startup"
    assert worker["livenessProbe"]["httpGet"]["path"] == "/health"


def live(wanted: int, available: int, observed: int = 1) -> dict[str, Any]:
    status = {"observedGeneration": observed, "availableReplicas": available, "updatedReplicas": available}
    return {"metadata": {"generation": 1}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (ObservedState(PartStatus(True), "q", None, live(2, 2), False), "Ready"),
        (ObservedState(PartStatus(True), "q", None, live(2, 1), False), "Creating"),
        (ObservedState(PartStatus(True), "q", PartStatus(True), live(0, 0), True), "Napping"),
        (ObservedState(PartStatus(False, "no broker"), "q", None, live(1, 1), False), "Creating"),
        (ObservedState(PartStatus(True), "q", PartStatus(False, "no"), live(1, 1), True), "Creating"),
        (ObservedState(PartStatus(True), "q", None, live(1, 1, observed=0), False), "Creating"),
        (ObservedState(PartStatus(True), "q", None, None, False), "Creating"),
    ],
)
def test_the_phase_is_creating_until_everything_is_ready(found: ObservedState, phase: str) -> None:
    assert status_of(found)["phase"] == phase
    ready = conditions_of(found, [])[1]
    assert ready.holds is (phase != "Creating")
    assert ready.message


def test_a_container_that_cannot_start_says_what_the_image_needs() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    ended = {"terminated": {"exitCode": 1, "message": "No module named asya_cli"}}
    pods = [{"status": {"containerStatuses": [{"name": "asya-actor", "state": waiting, "lastState": ended}]}}]
    said = complaint(pods)
    assert "CrashLoopBackOff" in said
    assert "the image must contain asya[actor]" in said
    assert complaint([{"status": {"containerStatuses": [{"name": "a", "state": {"running": {}}}]}}]) == ""


def test_drift_sees_changes_and_lets_defaults_be() -> None:
    wanted = {"containers": [{"name": "a", "image": "i"}], "labels": {"x": "1"}}
    assert contains(
        {"containers": [{"name": "b"}, {"name": "a", "image": "i", "tty": False}], "labels": {"x": "1"}}, wanted
    )
    assert not contains({"containers": [{"name": "a", "image": "j"}], "labels": {"x": "1"}}, wanted)
    assert not contains({"containers": [], "labels": {"x": "1"}}, wanted)


def test_replicas_set_through_the_scale_subresource_are_not_ours() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": "asya-operator", "fieldsV1": fields}
    assert owns_replicas({"metadata": {"managedFields": [entry]}}, "asya-operator")
    assert not owns_replicas({"metadata": {"managedFields": [{**entry, "subresource": "scale"}]}}, "asya-operator")
