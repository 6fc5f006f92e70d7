"""docs/settings.md says what the settings class says, neither more nor less."""

import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from asya_actor.settings import CrewSettings, WorkerSettings
from asya_gateway.settings import UNHONOURED, Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
MADE_AT_THE_START = {"ASYA_POD_NAME": "host and process id"}


def table_of(heading: str) -> dict[str, tuple[str, str]]:
    """Variable to (default, description) of the first table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| (.*) \|$", section, re.MULTILINE)
    return {variable: (default, description) for variable, default, description in rows}


def documented_default(variable: str, model: type[BaseModel]) -> str:
    """How the page writes a field's default."""
    field = model.model_fields[variable.removeprefix("ASYA_").lower()]
    value: Any = field.default
    match value:
        case _ if field.default_factory is not None:
            return MADE_AT_THE_START.get(variable, "")
        case _ if value is PydanticUndefined:
            return "(required)"
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


GATEWAY = table_of("Gateway")
FIELDS = [f"ASYA_{name.upper()}" for name in Settings.model_fields]


def test_every_setting_of_the_gateway_is_on_the_page_and_no_other() -> None:
    assert sorted(GATEWAY) == sorted(FIELDS)


@pytest.mark.parametrize("variable", FIELDS)
def test_the_page_tells_a_settings_default_and_reason(variable: str) -> None:
    default, description = GATEWAY[variable]
    assert default == documented_default(variable, Settings)
    assert description == Settings.model_fields[variable.removeprefix("ASYA_").lower()].description


def test_the_page_names_every_variable_that_stops_the_start() -> None:
    section = PAGE.split("\n## Authentication\n")[1].split("\n## ")[0]
    assert tuple(re.findall(r"`(ASYA_\w+)`", section)) == UNHONOURED


@pytest.mark.parametrize(("heading", "model"), [("Actor", WorkerSettings), ("Crew", CrewSettings)])
def test_the_pages_of_actor_and_crew_are_their_settings(heading: str, model: type[BaseModel]) -> None:
    shown = table_of(heading) | table_of("Actor and crew")
    expected = {
        f"ASYA_{name.upper()}": (documented_default(f"ASYA_{name.upper()}", model), field.description)
        for name, field in model.model_fields.items()
    }
    assert shown == expected
