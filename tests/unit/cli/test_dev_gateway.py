"""How `asya dev` tells what keeps its gateway from starting."""

from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from asya_cli.dev.ports import Port
from asya_cli.dev.session import DevSession, Options
from asya_cli.errors import UsageProblem


class AnyPort:
    number = 0


async def test_a_mistake_in_the_configuration_file_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("identity_service:\n- type: saml\n")
    monkeypatch.setenv("ASYA_GATEWAY_CONFIG", str(config))
    session = DevSession(Options(tmp_path, 0), cast(Port, AnyPort()), Console(quiet=True))
    with pytest.raises(
        UsageProblem, match=r"ASYA_GATEWAY_CONFIG: .*gateway\.yaml: line 2: identity_service\.0: expected"
    ):
        async with session._gateway("postgresql://asya@127.0.0.1:1/asya"):
            raise AssertionError("it started")


async def test_on_a_machine_of_ones_own_the_gateway_listens_on_loopback_alone(tmp_path: Path) -> None:
    """MCP 2026-07-28, streamable-http: "When running locally, servers SHOULD bind only to localhost"."""
    session = DevSession(Options(tmp_path, 0), cast(Port, AnyPort()), Console(quiet=True))
    settings = session._settings("postgresql://asya@127.0.0.1:1/asya")
    assert settings.gateway_host == "127.0.0.1"
