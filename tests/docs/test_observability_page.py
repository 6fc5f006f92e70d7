"""docs/observability.md against what a gateway serves, both ways."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.telemetry import ready, start_watched

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([a-z, ]*?) ?\| ([^|]+) \|", re.M)
GIVEN_BY_FORMAT = {"le"}


def documented() -> dict[str, tuple[str, set[str]]]:
    return {
        name: (kind, set(filter(None, labels.split(", ")))) for name, kind, labels, _ in ROW.findall(PAGE.read_text())
    }


def served_in(text: str) -> dict[str, tuple[str, set[str]]]:
    found = {}
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - GIVEN_BY_FORMAT
        found[name] = (family.type, labels)
    return found


@pytest.fixture
def page() -> dict[str, tuple[str, set[str]]]:
    return documented()


async def test_every_metric_is_on_the_page_with_type_and_labels_and_the_reverse(
    page: dict[str, tuple[str, set[str]]], database_url: str, tmp_path: Path
) -> None:
    served: dict[str, tuple[str, set[str]]] = {}
    nowhere: dict[str, Any] = {"transport": "rabbitmq", "rabbitmq_url": "amqp://nobody:nothing@127.0.0.1:9/"}
    full: dict[str, Any] = {"outbox_rows_per_actor": 1}
    first = {"actor": "first"}
    for change, name, labels in [(nowhere, "asya_outbox_rows", {}), (full, "asya_queue_messages", first)]:
        async with start_watched(database_url, tmp_path, **change) as watched:
            await ready(watched)
            await watched.finish(await watched.submit())
            await watched.becomes(1, name, **labels)
            if change is full:
                await watched.program.database.execute("UPDATE queue_messages SET ready_at = now() - interval '1 hour'")
                await watched.becomes(1, "asya_outbox_unroutable", actor="first")
            served |= served_in(await watched.text())

    assert served == page


def test_a_name_is_on_the_page_once() -> None:
    names = [row[0] for row in ROW.findall(PAGE.read_text())]
    assert len(names) == len(set(names)) > 30
