"""docs/settings.md matches the settings classes exactly."""

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from asya_actor.settings import CrewSettings, WorkerSettings
from asya_crds.durations import parse_duration
from asya_gateway.settings import Settings
from asya_operator.settings import OperatorSettings
from asya_transports.known import DESCRIPTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
MADE_AT_THE_START = {"ASYA_POD_NAME": "host and process id"}


def table_of(heading: str) -> dict[str, tuple[str, str]]:
    """Variable to (default, description) of the first table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| (.*) \|$", section, re.MULTILINE)
    return {variable: (default, description) for variable, default, description in rows}


def written_duration(seconds: float) -> str:
    """A duration as users write it, in the largest units that express it exactly: `2160h`, `1h30m`, `50ms`."""
    rest = round(seconds * 1000)
    if not rest:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def documented_default(variable: str, model: type[BaseModel]) -> str:
    """How the page writes a field's default."""
    field = model.model_fields[variable.removeprefix("ASYA_").lower()]
    value: Any = field.default
    match value:
        case _ if variable in MADE_AT_THE_START:
            return MADE_AT_THE_START[variable]
        case _ if field.default_factory is not None:
            made = field.default_factory()  # type: ignore[call-arg] # none of ours takes the other values
            return json.dumps(made) if made else ""
        case _ if value is PydanticUndefined:
            return "(required)"
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case float() if any(getattr(item, "func", None) is parse_duration for item in field.metadata):
            return written_duration(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


COMMON = WorkerSettings.model_fields.keys() & CrewSettings.model_fields.keys()
SECTIONS: dict[str, tuple[type[BaseModel], set[str]]] = {
    "Gateway": (Settings, set(Settings.model_fields)),
    "Worker and crew": (WorkerSettings, set(COMMON)),
    "Worker": (WorkerSettings, set(WorkerSettings.model_fields) - COMMON),
    "Crew": (CrewSettings, set(CrewSettings.model_fields) - COMMON),
    "Operator": (OperatorSettings, set(OperatorSettings.model_fields)),
}
ROWS = [(heading, f"ASYA_{name.upper()}") for heading, (_, names) in SECTIONS.items() for name in sorted(names)]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_is_on_the_page_and_no_other(heading: str) -> None:
    assert sorted(table_of(heading)) == sorted(f"ASYA_{name.upper()}" for name in SECTIONS[heading][1])


@pytest.mark.parametrize(("heading", "variable"), ROWS)
def test_the_page_tells_a_settings_default_and_reason(heading: str, variable: str) -> None:
    model, _ = SECTIONS[heading]
    default, description = table_of(heading)[variable]
    assert default == documented_default(variable, model)
    assert description == model.model_fields[variable.removeprefix("ASYA_").lower()].description


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_of_the_gateway_is_read(name: str) -> None:
    """A setting that is not read would have no effect."""
    sources = (ROOT / "gateway").rglob("*.py")
    assert any(re.search(rf"\.{name}\b", source.read_text()) for source in sources)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_variable_of_a_transport_is_listed_as_its_description_says(name: str) -> None:
    description = DESCRIPTIONS[name]
    expected = {each.name: (each.default, each.description) for each in description.variables}
    only = {each.name: (each.default, f"{each.description} Operator only.") for each in description.operator_variables}
    assert table_of(f"Transport {name}") == expected | only
