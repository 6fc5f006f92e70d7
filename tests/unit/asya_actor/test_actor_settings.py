"""The worker's and the crew's settings: both generations of resiliency, and mistakes that name their variable."""

from typing import Any

import pytest

from asya_actor.app import main
from asya_actor.assembly import concurrency_of
from asya_actor.resiliency import Backoff, RetryPolicy, RetryRule, RetryRules
from asya_actor.settings import crew_settings, worker_settings
from asya_crds.setting_types import SettingsError
from asya_transports.description import TransportSettingsError

REQUIRED = {"ASYA_ACTOR_NAME": "shout", "ASYA_HANDLER": "module.function"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_all(**values: str) -> None:
        for name, value in (REQUIRED | values).items():
            monkeypatch.setenv(name, value)

    return set_all


def test_the_defaults_are_the_documented_ones(environment: Any) -> None:
    environment()
    settings = worker_settings()
    assert (settings.resiliency_actor_timeout, settings.actor_concurrency, settings.namespace) == (
        300.0,
        None,
        "default",
    )
    assert settings.resiliency == RetryRules({})


async def _async_handler(payload: Any) -> Any:
    return payload


def _plain_handler(payload: Any) -> Any:
    return payload


def test_an_async_handler_runs_many_messages_at_a_time_unless_told_otherwise(
    environment: Any, caplog: pytest.LogCaptureFixture
) -> None:
    environment()
    with caplog.at_level("INFO"):
        assert concurrency_of(worker_settings(), _plain_handler) == 1
        assert not caplog.messages
        assert concurrency_of(worker_settings(), _async_handler) == 64
    assert caplog.messages == [
        "shout runs up to 64 messages at a time; ASYA_ACTOR_CONCURRENCY=1 is the earlier default"
    ]
    caplog.clear()
    environment(ASYA_ACTOR_CONCURRENCY="1")
    assert [concurrency_of(worker_settings(), each) for each in (_plain_handler, _async_handler)] == [1, 1]
    assert not caplog.messages


def test_policies_and_rules_are_read_from_json(environment: Any) -> None:
    environment(
        ASYA_RESILIENCY_ACTOR_TIMEOUT="90s",
        ASYA_RESILIENCY_POLICIES='{"net": {"maxAttempts": 4, "backoff": "linear", "initialDelay": "2s", '
        '"maxInterval": "1m", "maxDuration": "1h", "jitter": true, "onExhausted": ["x"]}}',
        ASYA_RESILIENCY_RULES='[{"errors": ["a.B", "C"], "policy": "net"}]',
    )
    settings = worker_settings()
    policy = RetryPolicy(4, Backoff.LINEAR, 2.0, 60.0, 3600.0, True, ("x",))
    assert settings.resiliency == RetryRules({"net": policy}, [RetryRule(("a.B", "C"), "net")])
    assert settings.resiliency_actor_timeout == 90.0


def test_the_older_variables_make_the_default_policy(environment: Any) -> None:
    """ASYA_RESILIENCY_RETRY_* (G1): exponential, 3, 1s, 300s, 2.0, true."""
    environment(ASYA_RESILIENCY_RETRY_MAX_ATTEMPTS="5")
    assert worker_settings().resiliency == RetryRules(
        {"default": RetryPolicy(5, Backoff.EXPONENTIAL, 1.0, 300.0, None, True, (), 2.0)}
    )


def test_the_newer_variables_win_over_the_older_ones(environment: Any) -> None:
    environment(ASYA_RESILIENCY_RETRY_MAX_ATTEMPTS="5", ASYA_RESILIENCY_POLICIES='{"default": {"maxAttempts": 2}}')
    assert worker_settings().resiliency.policies["default"].max_attempts == 2


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ASYA_ACTOR_NAME": "Not A Label"}, "ASYA_ACTOR_NAME"),
        ({"ASYA_ACTOR_CONCURRENCY": "0"}, "ASYA_ACTOR_CONCURRENCY"),
        ({"ASYA_RESILIENCY_ACTOR_TIMEOUT": "soon"}, "ASYA_RESILIENCY_ACTOR_TIMEOUT"),
        ({"ASYA_RESILIENCY_POLICIES": "{"}, "ASYA_RESILIENCY_POLICIES"),
        ({"ASYA_RESILIENCY_POLICIES": "[1]"}, "ASYA_RESILIENCY_POLICIES"),
        ({"ASYA_RESILIENCY_POLICIES": '{"a": {"maxAttempts": 0}}'}, "ASYA_RESILIENCY_POLICIES.a.maxAttempts"),
        ({"ASYA_RESILIENCY_POLICIES": '{"a": {"maxAttemps": 1}}'}, "ASYA_RESILIENCY_POLICIES.a.maxAttemps"),
        ({"ASYA_RESILIENCY_RULES": '[{"errors": [], "policy": "a"}]'}, "errors"),
        ({"ASYA_RESILIENCY_RULES": '[{"errors": ["A"], "policy": "gone"}]'}, "gone"),
        ({"ASYA_GATEWAY_URL": "mesh:8080"}, "ASYA_GATEWAY_URL"),
    ],
)
def test_a_mistake_names_its_variable(environment: Any, values: dict[str, str], named: str) -> None:
    environment(**values)
    with pytest.raises(SettingsError, match=named):
        worker_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "POLICIES",
            '{"a": {"backof": 1}}',
            "ASYA_RESILIENCY_POLICIES.a.backof: unknown field (did you mean backoff?)",
        ),
        (
            "POLICIES",
            '{"a": {"zzz": 1}}',
            "ASYA_RESILIENCY_POLICIES.a.zzz: unknown field (expected maxAttempts, backoff, initialDelay, maxInterval, "
            "maxDuration, jitter, onExhausted)",
        ),
        (
            "POLICIES",
            '{"a": {"maxAttempts": "three"}}',
            "ASYA_RESILIENCY_POLICIES.a.maxAttempts: expected a whole number, not 'three'",
        ),
        (
            "POLICIES",
            '{"a": {"backoff": "x"}}',
            "ASYA_RESILIENCY_POLICIES.a.backoff: expected 'constant', 'linear' or 'exponential', not 'x'",
        ),
        ("RULES", '[{"errors": ["A"]}]', "ASYA_RESILIENCY_RULES.0.policy: required field is missing"),
        (
            "RULES",
            '[{"errors": ["A"], "polcy": "a", "policy": "a"}]',
            "RULES.0.polcy: unknown field (did you mean policy?)",
        ),
    ],
)
def test_a_mistake_inside_a_variable_is_worded_as_in_a_file(environment: Any, name: str, value: str, said: str) -> None:
    environment(**{f"ASYA_RESILIENCY_{name}": value})
    with pytest.raises(SettingsError) as caught:
        worker_settings()
    assert str(caught.value).endswith(said)
    assert "Extra inputs" not in str(caught.value)


def test_what_is_required_is_named() -> None:
    with pytest.raises(SettingsError, match="ASYA_ACTOR_NAME is required; ASYA_HANDLER is required"):
        worker_settings()


def test_the_crew_reads_its_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crew_settings().pause_metadata == {"prompt": "Task paused", "fields": []}
    monkeypatch.setenv("ASYA_PAUSE_METADATA", '{"prompt": "Really?"}')
    monkeypatch.setenv("ASYA_RESUME_MERGE_MODE", "deep")
    settings = crew_settings()
    assert (settings.pause_metadata, settings.resume_merge_mode) == ({"prompt": "Really?"}, "deep")
    monkeypatch.setenv("ASYA_PAUSE_METADATA", "really?")
    with pytest.raises(SettingsError, match="ASYA_PAUSE_METADATA"):
        crew_settings()


def test_the_visibility_timeout_reaches_the_postgres_queues_of_worker_and_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def refuse(settings: Any, namespace: str) -> Any:
        opened.append(settings)
        raise TransportSettingsError("not today")

    monkeypatch.setattr("asya_actor.app.open_transport", refuse)
    monkeypatch.setenv("ASYA_DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("ASYA_QUEUE_VISIBILITY_TIMEOUT", "7s")
    assert main([worker_settings({"actor_name": "a", "handler": "m.f"})]) == 2
    assert main(crew=crew_settings()) == 2
    assert [settings.visibility_timeout for settings in opened] == [7.0, 7.0]
