"""Every setting of every program: a wrong value ends the program with exit code 2 and the variable's name, before
anything is started. The tests are made from the settings' own declarations, so that a new one cannot be forgotten."""

import os
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from asya_actor.settings import CrewSettings, WorkerSettings, crew_settings, worker_settings
from asya_cli.environment import read_settings
from asya_cli.errors import ExitCode, UsageProblem
from asya_cli.main import app
from asya_crds.durations import parse_duration
from asya_crds.setting_types import (
    SettingsError,
    check_allowed_host,
    check_listen_host,
    check_namespace,
    check_object_name,
    check_origin,
    check_visible,
    check_web_url,
    parse_switch,
)
from asya_gateway.settings import Settings
from asya_gateway.settings.auth import check_static_key
from asya_gateway.settings.issuers import check_alias, check_exact_url, check_fetched_url
from asya_gateway.settings.oauth import (
    check_hmac_secret,
    check_host_name,
    check_issuer,
    check_redirect_scheme,
    check_registration_token,
)
from asya_gateway.settings.outbound import check_proxy, check_target
from asya_gateway.settings.sealing import check_seal_key
from asya_operator.app import queues_settings
from asya_operator.settings import OperatorSettings, operator_settings
from asya_transports.description import TransportSettingsError
from asya_transports.known import DESCRIPTIONS, transport_settings

DATABASE = "postgresql://asya:secret@localhost/asya"
PROGRAMS: dict[str, tuple[type[BaseModel], Callable[[], Any], dict[str, str]]] = {
    "serve": (Settings, read_settings, {"ASYA_GATEWAY_MODE": "api", "ASYA_DATABASE_URL": DATABASE}),
    "actor": (WorkerSettings, worker_settings, {"ASYA_ACTOR_NAME": "shout", "ASYA_HANDLER": "module.function"}),
    "crew": (CrewSettings, crew_settings, {}),
    "operator": (OperatorSettings, operator_settings, {}),
}
REFUSALS = (UsageProblem, SettingsError, TransportSettingsError)

NOT_URLS = [
    "asya.example.com",
    "ftp://asya.example.com",
    "http://",
    "https://a b",
    "http://a:port",
    "http://u:p@a",
    "http:///x",
]
NOT_ACTORS = ["dlq", "Not A Label", "a_b", "x" * 64]
WRONG_BY_NAME: dict[str, list[str]] = {
    "database_url": ["mysql://x/y", "nonsense"],
    "database_direct_url": ["mysql://x/y", "nonsense"],
    "transport": ["pigeon", "Postgres"],
    "gateway_url_allowed": NOT_URLS[:3],
    "a2a_name": ["x" * 257],
    "a2a_description": ["x" * 4097],
    "a2a_version": ["x" * 65],
    "a2a_signing_key_id": ["x" * 257],
    "a2a_provider_org": ["x" * 257],
    "actor_name": ["", *NOT_ACTORS],
    "actor_sink": ["", *NOT_ACTORS],
    "actor_sump": ["", *NOT_ACTORS],
    "sink_hooks": NOT_ACTORS,
    "handler": ["", "function", "module.", "a b.c"],
    "resiliency_policies": ["{", "[1]", '{"a": {"maxAttempts": 0}}', '{"a": {"onExhausted": ["dlq"]}}'],
    "resiliency_rules": ["{", "{}", '[{"errors": [], "policy": "a"}]', '[{"errors": ["A"], "policy": "gone"}]'],
    "resiliency_retry_backoff_coefficient": ["x", "0", "nan", "inf"],
    "state_proxy_mounts": ["nonsense", "a:relative:write=buffered"],
    "state_proxy_folder": ["relative"],
    "a2a_jwt_audience": ["x" * 3000],
    "pause_metadata": ["really?", "[]"],
    "trusted_proxies": ["proxy", "10.0.0.1/8", "10.0.0.0/33"],
    "open_surfaces": ["rest", "mcp,everything"],
    "caller_claims": ["x" * 256, "email," + "y" * 300],
}
FREE = {"config_path", "api_keys_file", "gateway_config", "roles_file", "a2a_signing_key_file"}
"""Anything may be right: a path, say, that does not exist yet."""
WRONG_BY_CHECK: dict[Any, list[str]] = {
    parse_duration: ["soon", "-1s", "1 fortnight", "1e400"],
    parse_switch: ["maybe", "2", "tru"],
    check_web_url: NOT_URLS,
    check_origin: ["asya.example.com", "https://", "https://a b", "https://a/path", "https://a:port"],
    check_allowed_host: ["https://asya.example.com", "a b", "a/b", "a:port"],
    check_listen_host: ["", "a b", "http://a", "1.2.3.4:80", "a..b", "a" * 64],
    check_static_key: ["two words", "schlüssel", "k" * 9000],
    check_namespace: ["", "two words", "UPPER", "a_b", "-a", "x" * 64],
    check_object_name: ["", "two words", "UPPER", "-a"],
    check_visible: ["", "a\nb", "x" * 300],
    check_target: ["10.0.0.0/33", "10.0.0.1/8", "10.0.0", "a b", "https://a", "*", "a:443"],
    check_issuer: [*NOT_URLS, "http://gateway.example.com", "https://a/path", "https://a?x", "https://a#x"],
    check_hmac_secret: ["short", "x" * 31],
    check_seal_key: ["short", "x" * 31, "x" * 32 + "," + "y" * 31],
    check_registration_token: ["two words", "schlüssel", "t" * 2000],
    check_redirect_scheme: ["http", "https", "javascript", "CURSOR", "a b", "1st", "a:", "cursor,data"],
    check_host_name: ["https://a", "a:443", "A.example", "a b"],
    check_exact_url: NOT_URLS,
    check_fetched_url: [*NOT_URLS, "https://a/?b c", "https://a/#b", "https://a/" + "x" * 2048],
    check_alias: ["Corp", "a:b", "a_b", "x" * 101],
    check_proxy: ["proxy:3128", "socks5://a:1", "http://", "http://a:port", "http://a/path", "http://a?b"],
}


def wrong_values(model: type[BaseModel], name: str) -> list[str]:
    """What no reader of the variable may take."""
    if name in WRONG_BY_NAME:
        return WRONG_BY_NAME[name]
    field = model.model_fields[name]
    found: list[str] = []
    for check in (*_checks(field.annotation), *(getattr(item, "func", None) for item in field.metadata)):
        found += WRONG_BY_CHECK.get(check, [])
    if not found:
        found = _wrong_of_type(field.annotation)
    for item in field.metadata:
        if (least := getattr(item, "ge", None)) is not None:
            found.append(str(least - 1))
        if (above := getattr(item, "gt", None)) is not None:
            found.append(str(above))
        if (most := getattr(item, "le", None)) is not None:
            found.append(str(most + 1))
    return found


def _checks(annotation: Any) -> list[Any]:
    """The functions of every `Annotated` in a type."""
    found = [getattr(item, "func", None) for item in getattr(annotation, "__metadata__", ())]
    return found + [check for part in typing.get_args(annotation) for check in _checks(part)]


def _wrong_of_type(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (annotation,) = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return ["nonsense", "INFO"]
    if annotation is int:
        return ["x", "1.5", "", "9" * 5000]
    return []


SETTINGS = [(program, name) for program, (model, *_) in PROGRAMS.items() for name in sorted(model.model_fields)]
CASES = [
    (program, name, wrong)
    for program, name in SETTINGS
    if name not in FREE
    for wrong in wrong_values(PROGRAMS[program][0], name)
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the shell that runs the tests."""
    for name in list(os.environ):
        if name.startswith("ASYA_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(("program", "name"), SETTINGS)
def test_of_every_setting_it_is_known_what_is_wrong(program: str, name: str) -> None:
    assert (name in FREE) != bool(wrong_values(PROGRAMS[program][0], name))


@pytest.mark.parametrize(("program", "name", "wrong"), CASES, ids=[f"{p}-{n}-{w[:30]!r}" for p, n, w in CASES])
def test_a_wrong_value_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, program: str, name: str, wrong: str
) -> None:
    _, read, needed = PROGRAMS[program]
    variable = f"ASYA_{name.upper()}"
    for each, value in (needed | {variable: wrong}).items():
        monkeypatch.setenv(each, value)
    with pytest.raises(REFUSALS) as refused:
        read()
    message = str(refused.value)
    assert variable in message
    assert "\n" not in message
    assert len(message) < 500
    assert "u:p" not in message
    assert getattr(refused.value, "code", ExitCode.USAGE) is ExitCode.USAGE


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off", ""])
@pytest.mark.parametrize(
    ("program", "name"),
    [
        (program, name)
        for program, name in SETTINGS
        if isinstance(PROGRAMS[program][0].model_fields[name].default, bool)
    ],
)
def test_a_switch_that_is_false_or_empty_is_off(
    monkeypatch: pytest.MonkeyPatch, program: str, name: str, text: str
) -> None:
    _, read, needed = PROGRAMS[program]
    for each, value in (needed | {f"ASYA_{name.upper()}": text}).items():
        monkeypatch.setenv(each, value)
    assert getattr(read(), name) is False


TRANSPORT_NEEDS = {
    "postgres": {"ASYA_DATABASE_URL": DATABASE},
    "rabbitmq": {"ASYA_RABBITMQ_HOST": "mq"},
    "pubsub": {"ASYA_PUBSUB_PROJECT_ID": "asya-tests"},
    "sqs": {},
}
WRONG_OF_TRANSPORTS = {
    "ASYA_DATABASE_URL": ["", "mysql://secret@x/y"],
    "ASYA_DATABASE_POOLING": ["statement", "transaction"],
    "ASYA_DATABASE_DIRECT_URL": ["mysql://secret@x/y"],
    "ASYA_QUEUE_VISIBILITY_TIMEOUT": ["soon", "0"],
    "ASYA_PREFETCH": ["x", "0", "-1", "1.5"],
    "ASYA_RABBITMQ_URL": ["http://secret", "amqp://", "amqp://u:secret/x@mq", "nonsense"],
    "ASYA_RABBITMQ_HOST": ["two words", "http://mq", "mq:5672"],
    "ASYA_RABBITMQ_PORT": ["x", "0", "70000"],
    "ASYA_RABBITMQ_EXCHANGE": ["x" * 256, "a\nb"],
    "ASYA_RABBITMQ_POOL_SIZE": ["x", "0"],
    "ASYA_RABBITMQ_PREFETCH": ["x", "0"],
    "ASYA_RABBITMQ_MAX_MESSAGE_BYTES": ["x", "0"],
    "ASYA_PUBSUB_PROJECT_ID": ["", "two words", "projects/x", "UPPER", "x" * 101],
    "ASYA_PUBSUB_ENDPOINT": ["localhost", "localhost:0", "http://localhost:8085", "localhost:x", "a b:1"],
    "ASYA_SQS_REGION": ["us east", "a/b"],
    "ASYA_AWS_REGION": ["us east", "a/b"],
    "ASYA_SQS_ENDPOINT": ["sqs:9324", "ftp://sqs", "http://u:secret@sqs", "http://sqs/?x=1", "http://s qs"],
    "ASYA_SQS_VISIBILITY_TIMEOUT": ["soon", "-1", "1.5", "13h"],
    "ASYA_SQS_WAIT_TIME_SECONDS": ["x", "0", "21"],
    "ASYA_SQS_MAX_MESSAGE_BYTES": ["x", "0", "1000", "1048577"],
    "ASYA_SQS_PREFETCH": ["x", "0"],
}
ANY_TEXT = {"ASYA_RABBITMQ_USERNAME", "ASYA_RABBITMQ_PASSWORD"}
VARIABLES = [(name, each.name) for name, found in DESCRIPTIONS.items() for each in found.variables]


@pytest.mark.parametrize(("transport", "variable"), VARIABLES)
def test_a_wrong_variable_of_a_transport_is_told_without_its_secret(transport: str, variable: str) -> None:
    assert (variable in ANY_TEXT) != (variable in WRONG_OF_TRANSPORTS)
    for wrong in WRONG_OF_TRANSPORTS.get(variable, ()):
        given = {"ASYA_TRANSPORT": transport, **TRANSPORT_NEEDS[transport], variable: wrong}
        with pytest.raises(TransportSettingsError, match=variable) as refused:
            transport_settings(given)
        assert "secret" not in str(refused.value)


WRONG_OF_OPERATORS = {
    "ASYA_KEDA_RABBITMQ_AUTH": ["two words", "UPPER"],
    "ASYA_KEDA_PUBSUB_AUTH": ["two words", "UPPER"],
    "ASYA_KEDA_PUBSUB_POD_IDENTITY": ["two words", "x" * 64],
    "ASYA_KEDA_SQS_AUTH": ["two words", "UPPER"],
    "ASYA_KEDA_SQS_POD_IDENTITY": ["gcp", "two words"],
    "ASYA_RABBITMQ_MANAGEMENT_URL": [
        "mq:15672",
        "amqp://u:secret@mq",
        "http://",
        "http://u:secret/x@mq",
        "http://u:secret#x@mq",
        "http://u:secret@mq:0",
    ],
}


@pytest.mark.parametrize(
    ("transport", "variable"),
    [(name, each.name) for name, found in DESCRIPTIONS.items() for each in found.operator_variables],
)
def test_a_wrong_variable_that_only_the_operator_reads_is_told_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, transport: str, variable: str
) -> None:
    for name, value in TRANSPORT_NEEDS[transport].items():
        monkeypatch.setenv(name, value)
    for wrong in WRONG_OF_OPERATORS[variable]:
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(TransportSettingsError, match=variable) as refused:
            queues_settings(OperatorSettings(transport=transport))
        assert "secret" not in str(refused.value)


def test_an_operator_needs_no_address_of_queues_in_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    assert queues_settings(OperatorSettings()) is None
    monkeypatch.setenv("ASYA_DATABASE_URL", DATABASE)
    assert queues_settings(OperatorSettings()) == transport_settings({"ASYA_DATABASE_URL": DATABASE})


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["tool", "list"], {"ASYA_URL": "asya.example.com"}),
        (["tool", "list"], {"ASYA_URL": "ftp://asya.example.com"}),
        (["task", "list"], {"ASYA_URL": "http://a b"}),
        (["flow", "list"], {"ASYA_NAMESPACE": "two words"}),
        (["flow", "expose", "x", "-d", "x"], {"ASYA_PUBLIC_URL": "asya.example.com"}),
        (["migrate"], {"ASYA_DATABASE_URL": "mysql://x:secret@y/z"}),
        (["tool", "list"], {"ASYA_DEBUG": "maybe"}),
        (["serve"], {"ASYA_GATEWAY_MODE": "both"}),
        (["actor"], {"ASYA_ACTOR_NAME": "dlq", "ASYA_HANDLER": "a.b"}),
        (["actor", "--crew"], {"ASYA_NAMESPACE": "two words"}),
        (["operator"], {"ASYA_NAMESPACE": "two words"}),
        (["operator"], {"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": "amqp://u:secret/x@mq"}),
        (["operator"], {"ASYA_DATABASE_URL": "mysql://x:secret@y/z"}),
    ],
)
def test_every_command_refuses_a_wrong_variable(words: list[str], variables: dict[str, str]) -> None:
    done = CliRunner().invoke(app, words, env=variables)
    code = done.exception.code if isinstance(done.exception, UsageProblem | SystemExit) else done.exit_code
    assert code == 2
    message = done.exception.message if isinstance(done.exception, UsageProblem) else done.output
    assert any(name in message for name in variables)
    assert "secret" not in message
