"""Invalid settings are reported with their variables' names before anything is started."""

import pytest

from asya_cli.environment import read_settings
from asya_cli.errors import ExitCode, UsageProblem
from asya_gateway.settings import Mode
from asya_transports.known import DESCRIPTIONS

DATABASE = "postgresql://asya@localhost/asya"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the shell that runs the tests."""
    import os

    for name in list(os.environ):
        if name.startswith("ASYA_"):
            monkeypatch.delenv(name)


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """The complaint about an environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageProblem) as caught:
        read_settings()
    assert caught.value.code is ExitCode.USAGE
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_missing_mode_is_told_with_the_allowed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch) == "ASYA_GATEWAY_MODE: expected one of api, mesh, testing; it is not set"


@pytest.mark.parametrize("mode", ["", "both", "API", "api "])
def test_an_unknown_mode_is_told_with_the_allowed_ones(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    assert refused(monkeypatch, ASYA_GATEWAY_MODE=mode).startswith(
        "ASYA_GATEWAY_MODE: expected one of api, mesh, testing; "
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ASYA_GATEWAY_PORT", "abc", "expected a whole number, not 'abc'"),
        ("ASYA_CHILD_GRACE", "{x}", "such as 10s, 5m, 1h30m, got '{x}'"),
        ("ASYA_GATEWAY_PORT", "70000", "expected at most 65535"),
        ("ASYA_DB_MAX_CONNS", "0", "expected at least 2"),
        ("ASYA_TRANSPORT", "pigeon", f"one of {', '.join(DESCRIPTIONS)}"),
        ("ASYA_DEFAULT_TIMEOUT", "soon", "a duration such as 10s"),
        ("ASYA_LOG_FORMAT", "xml", "'json' or 'text'"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    message = refused(monkeypatch, ASYA_GATEWAY_MODE="api", ASYA_DATABASE_URL=DATABASE, **{name: value})
    assert message.startswith(f"{name}: expected ")
    assert expected in message
    assert message.count(repr(value)) == 1


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, ASYA_GATEWAY_MODE="mesh", ASYA_GATEWAY_PORT="x", ASYA_BATCH_ROWS="y")
    assert "ASYA_GATEWAY_PORT: " in message
    assert "ASYA_BATCH_ROWS: " in message


def test_a_missing_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, ASYA_GATEWAY_MODE="api").startswith("ASYA_DATABASE_URL: expected a PostgreSQL URL")


def test_rabbitmq_needs_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, ASYA_GATEWAY_MODE="api", ASYA_DATABASE_URL=DATABASE, ASYA_TRANSPORT="rabbitmq")
    assert message.startswith("ASYA_RABBITMQ_URL: ")


def test_given_settings_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYA_GATEWAY_MODE", "api")
    monkeypatch.setenv("ASYA_DATABASE_URL", "postgresql://elsewhere/x")
    settings = read_settings(gateway_mode="testing", database_url=DATABASE)
    assert settings.gateway_mode is Mode.TESTING
    assert settings.database_url == DATABASE


OAUTH = {
    "ASYA_GATEWAY_MODE": "api",
    "ASYA_DATABASE_URL": DATABASE,
    "ASYA_MCP_OAUTH_ENABLED": "true",
    "ASYA_MCP_OAUTH_ISSUER": "https://gateway.example.com",
    "ASYA_MCP_OAUTH_SECRET": "s" * 32,
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ASYA_MCP_OAUTH_ISSUER": ""}, ["ASYA_MCP_OAUTH_ISSUER"]),
        ({"ASYA_MCP_OAUTH_SECRET": ""}, ["ASYA_MCP_OAUTH_SECRET"]),
        ({"ASYA_MCP_OAUTH_SECRET": "s" * 31}, ["ASYA_MCP_OAUTH_SECRET", "32 bytes"]),
        ({"ASYA_MCP_OAUTH_ISSUER": "http://gateway.example.com"}, ["ASYA_MCP_OAUTH_ISSUER", "https"]),
        ({"ASYA_MCP_API_KEY": "static"}, ["ASYA_MCP_API_KEY", "ASYA_MCP_OAUTH_ENABLED"]),
    ],
)
def test_an_authorization_server_without_what_it_needs_does_not_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: list[str]
) -> None:
    message = refused(monkeypatch, **(OAUTH | changes))
    assert all(word in message for word in named)
    assert "s" * 31 not in message


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080", "http://localhost:8080/", "https://a.example/"])
def test_the_issuer_has_no_last_slash_and_is_encrypted_or_local(monkeypatch: pytest.MonkeyPatch, issuer: str) -> None:
    for name, value in (OAUTH | {"ASYA_MCP_OAUTH_ISSUER": issuer}).items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.mcp_oauth_issuer == issuer.rstrip("/")
    assert settings.closed


@pytest.mark.parametrize("given", ["ASYA_A2A_JWT_JWKS_URL", "ASYA_A2A_JWT_ISSUER", "ASYA_A2A_JWT_AUDIENCE"])
def test_an_issuer_is_named_as_a_whole(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    message = refused(
        monkeypatch, ASYA_GATEWAY_MODE="api", ASYA_DATABASE_URL=DATABASE, **{given: "https://issuer.example.com/keys"}
    )
    assert f"required with {given}" in message
    assert message.count("ASYA_A2A_JWT_") == 3


def test_an_issuers_url_is_kept_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYA_GATEWAY_MODE", "api")
    monkeypatch.setenv("ASYA_DATABASE_URL", DATABASE)
    monkeypatch.setenv("ASYA_A2A_JWT_JWKS_URL", "https://issuer.example.com/keys?appid=7")
    monkeypatch.setenv("ASYA_A2A_JWT_ISSUER", "https://issuer.example.com/")
    monkeypatch.setenv("ASYA_A2A_JWT_AUDIENCE", "asya")
    settings = read_settings()
    assert settings.a2a_jwt_issuer == "https://issuer.example.com/"
    assert settings.a2a_jwt_jwks_url == "https://issuer.example.com/keys?appid=7"
    assert settings.closed
