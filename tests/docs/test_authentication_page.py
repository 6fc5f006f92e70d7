"""docs/how-to/authentication.md and docs/security.md: their files are read, their commands exist."""

import contextvars
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from asya_cli.main import app
from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.redirects import DEFAULT_SCHEMES, check_redirect_uri
from asya_gateway.identity.key_file import read_keys
from asya_gateway.identity.roles_file import RolesFile
from asya_gateway.identity.services.configuration import GatewayConfig
from asya_gateway.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "authentication.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
DOCUMENTS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
OVERLAYS = [each for each in DOCUMENTS if "resources" in each]
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
COMMANDS = re.findall(r"(?:^|-- |\$\(|&& )(asya [^>|)\n]*?)(?= 2>|[>|)\n])", SHELL + "\n", re.MULTILINE)


def variables_of(overlay: dict[str, Any]) -> dict[str, str]:
    """What an overlay puts into the ConfigMap asya-auth."""
    patches = [yaml.safe_load(each["patch"]) for each in overlay.get("patches", [])]
    assert all(each["metadata"]["name"] == "asya-auth" for each in patches)
    return {name: value for each in patches for name, value in each["data"].items()}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=range(len(OVERLAYS)))
def test_every_overlay_is_one_whose_settings_close_a_gateway(overlay: dict[str, Any]) -> None:
    folder = ROOT / "manifests" / "overlays" / "mine"
    for place in (*overlay["resources"], *overlay["components"]):
        assert (folder / place).resolve().joinpath("kustomization.yaml").is_file(), place
    assert "../../components/authentication" in overlay["components"]
    values: dict[str, Any] = {"gateway_mode": "api", "auth": "required", "mcp_oauth_secret": "s" * 32}
    values |= {name.removeprefix("ASYA_").lower(): value for name, value in variables_of(overlay).items()}
    assert values.keys() <= Settings.model_fields.keys()
    assert Settings(**values).closed


def test_the_files_of_a_login_and_of_roles_are_read() -> None:
    [login] = [GatewayConfig.model_validate(each) for each in DOCUMENTS if "identity_service" in each]
    assert not list(login.mistakes())
    roles = [RolesFile.model_validate(each) for each in DOCUMENTS if "roles" in each]
    assert len(roles) == 2
    assert [list(each.mistakes()) for each in roles] == [[], []]


def test_the_file_of_keys_is_read() -> None:
    [text] = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("keys:")]
    ci, ada = read_keys(text.encode())
    assert (ci.owner, ci.scopes) == ("key:ci", COMMON_SCOPES)
    assert (ada.owner, ada.scopes) == ("key:ada", frozenset({"task:publish_note:answer"}))


def test_every_command_of_the_page_is_one() -> None:
    assert len(COMMANDS) >= 14
    for line in COMMANDS:
        words = shlex.split(line.split("#")[0])[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), line
        # A `--url` of the page must not be repeated in what later tests of this process read.
        with contextvars.copy_context().run(command.make_context, "asya", words) as context:
            for uri in context.params.get("redirect_uri") or ():
                check_redirect_uri(uri, DEFAULT_SCHEMES)


def test_every_file_for_a_client_is_json_that_names_the_endpoint() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) + re.findall(r"`(\{\"(?:mcp)?[sS]ervers.*?\})`", PAGE)
    assert len(blocks) == 8
    for block in blocks:
        found = json.loads(block)
        [entry] = (found.get("mcpServers") or found["servers"]).values()
        assert "https://asya.example.com/mcp" in (entry.get("url"), *entry.get("args", []))


def test_every_variable_that_the_pages_name_is_documented() -> None:
    documented = set(re.findall(r"^\| `(ASYA_\w+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    named = set(re.findall(r"ASYA_[A-Z0-9_]*[A-Z0-9]\b", PAGE + SECURITY))
    assert named - documented == set()


def test_the_first_words_of_the_security_page_warn() -> None:
    first = SECURITY.split("\n## ")[0]
    for warning in (
        "An open gateway lets in everybody",
        "open registration lets them in",
        "the owner of tasks is the single grant",
    ):
        assert warning in " ".join(first.replace("\n>", "").split())


@pytest.mark.parametrize("page", ["docs/security.md", "docs/how-to/authentication.md"])
def test_readme_leads_to_both_pages(page: str) -> None:
    assert f"({page})" in (ROOT / "README.md").read_text()
